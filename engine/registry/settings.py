"""What the user has set for registries: mirrors, plain http, certificates.

In `$BAKERY_CONFIG`, else `$XDG_CONFIG_HOME/bakery/config.toml`:

    [registry."docker.io"]
    mirrors = ["mirror.example.org", "localhost:5000/hub"]   # asked first, in this order; a path goes before the name
    [registry."registry.example.org:5000"]
    http = true            # plain http
    insecure = true        # https without checking the certificate, or plain http
    ca = "ca.pem"          # trusted besides the system's; paths are relative to this file
    cert = "client.pem"    # client certificate and key
    key = "client.key"

`$BAKERY_REGISTRY_MIRRORS` (`docker.io=mirror.example.org,…`) puts mirrors before those of the file. Certificates are
also found where Docker keeps them: `/etc/docker/certs.d/HOST/{*.crt,*.cert,*.key}`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from engine.errors import SourceError
from engine.registry.reference import is_local
from engine.values import frozen

DOCKER_CERTIFICATES = Path("/etc/docker/certs.d")


@frozen
class Mirror:
    """Another place for a registry's images: a host, and what goes before the repository's name there."""

    host: str
    prefix: str = ""


@frozen
class HostSettings:
    """How to talk to one host."""

    http: bool | None = None
    """Plain http: True, False, or None to find out (on this machine or where `insecure`), else https."""
    insecure: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    mirrors: tuple[Mirror, ...] = ()

    def schemes(self, host: str) -> tuple[str, ...]:
        """What to try, best first."""
        if self.http is not None:
            return ("http",) if self.http else ("https",)
        if is_local(host) and not self.ca:
            return ("http", "https")
        return ("https", "http") if self.insecure else ("https",)


@frozen
class RegistrySettings:
    """The settings of all hosts."""

    hosts: Mapping[str, HostSettings] = field(default_factory=dict)

    def of(self, host: str) -> HostSettings:
        """The settings of one host; certificates of Docker's folders where the user set none."""
        settings = self.hosts.get(host, HostSettings())
        return settings if settings.ca or settings.cert else _docker_certificates(host, settings)


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's settings file, whether or not it is there."""
    if path := environ.get("BAKERY_CONFIG"):
        return Path(path).absolute()
    base = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base).absolute() / "bakery" / "config.toml"


def load_settings(environ: Mapping[str, str] = os.environ) -> RegistrySettings:
    """The user's settings of registries.

    Raises:
        SourceError: if the file cannot be read, or has something in it that makes no sense.
    """
    path = config_path(environ)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"cannot read the settings in {path}: {error}") from error
    tables = document.get("registry", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SourceError(f'{path}: "registry" must be a table of tables', hint='write [registry."HOST"]')
    hosts = {host: _host(table, host, path) for host, table in tables.items()}
    return RegistrySettings(_with_mirrors(hosts, environ.get("BAKERY_REGISTRY_MIRRORS", "")))


_KINDS: Mapping[str, type] = {"http": bool, "insecure": bool, "ca": str, "cert": str, "key": str, "mirrors": list}


def _host(table: Mapping[str, Any], host: str, path: Path) -> HostSettings:
    for key, value in table.items():
        if key not in _KINDS:
            known = ", ".join(_KINDS)
            raise SourceError(f'{path}: unknown setting "{key}" of the registry "{host}"', hint=f"known are {known}")
        if not isinstance(value, _KINDS[key]):
            raise SourceError(f'{path}: the setting "{key}" of the registry "{host}" must be a {_KINDS[key].__name__}')
    files = {key: path.parent / os.path.expanduser(table[key]) for key in ("ca", "cert", "key") if key in table}
    return HostSettings(
        http=table.get("http"),
        insecure=table.get("insecure", False),
        mirrors=tuple(_mirror(str(text)) for text in table.get("mirrors", ())),
        **files,
    )


def _mirror(text: str) -> Mirror:
    for scheme in ("https://", "http://"):
        text = text.removeprefix(scheme)
    host, _, prefix = text.strip("/").partition("/")
    if not host:
        raise SourceError("a mirror has no host", hint='write HOST or HOST/PREFIX, such as "mirror.example.org/hub"')
    return Mirror(host, prefix)


def _with_mirrors(hosts: dict[str, HostSettings], text: str) -> dict[str, HostSettings]:
    for item in filter(None, (part.strip() for part in text.split(","))):
        host, equals, mirror = item.partition("=")
        if not equals:
            raise SourceError(
                f'BAKERY_REGISTRY_MIRRORS: "{item}" is not HOST=MIRROR', hint="write docker.io=mirror.example.org"
            )
        old = hosts.get(host, HostSettings())
        hosts[host] = replace(old, mirrors=(*(m for m in (_mirror(mirror),)), *old.mirrors))
    return hosts


def _docker_certificates(host: str, settings: HostSettings) -> HostSettings:
    folder = DOCKER_CERTIFICATES / host
    if "/" in host or not folder.is_dir():
        return settings
    ca, cert = next(folder.glob("*.crt"), None), next(folder.glob("*.cert"), None)
    return replace(settings, ca=ca, cert=cert, key=cert.with_suffix(".key") if cert else None)

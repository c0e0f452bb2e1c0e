"""Where the Docker engine is that images are loaded into, found as docker's own command finds it.

The context that an output names counts; else `DOCKER_HOST`, else the context of `DOCKER_CONTEXT`, else that of docker's
`config.json`, else the socket of this machine. Contexts lie below docker's configuration, in folders that are named by
the sha256 of their name: `contexts/meta/HASH/meta.json`, and certificates in `contexts/tls/HASH/docker`
(docker/cli, cli/context/store).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import ExportError
from engine.values import frozen

_SOCKET = "/var/run/docker.sock"
_DEFAULT = "default"
"""The context that stands for the variables and the usual socket."""


@frozen
class EngineAddress:
    """Where an engine listens: `unix://PATH` or `tcp://HOST:PORT`, the latter with TLS if `secure`.

    `authority` is a file of certificates that the engine's own must come from, `own` our certificate and its key.
    `context` is the one that was asked for by name.
    """

    url: str
    context: str = ""
    secure: bool = False
    verify: bool = True
    authority: Path | None = None
    own: tuple[Path, Path] | None = None

    def __str__(self) -> str:
        return self.url


def engine_address(context: str = "", environ: Mapping[str, str] = os.environ) -> EngineAddress:
    """The engine of a context; of the current one if it has no name.

    Raises:
        ExportError: if there is none, or it is spoken to in a way that is not supported.
    """
    name = context or _current(environ)
    found = _of_variables(environ) if name == _DEFAULT else _of_context(name, environ)
    scheme, _, rest = found.url.partition("://")
    if scheme not in ("unix", "tcp") or not rest:
        raise ExportError(
            f"cannot load into {found.url}: only unix:// and tcp:// are supported",
            hint="set DOCKER_HOST" if name == _DEFAULT else f"it is that of docker's context {name}; choose another",
        )
    if scheme == "unix" and not Path(rest).exists():
        raise ExportError(
            f"there is no Docker engine to load into: {rest} does not exist",
            hint="start it, set DOCKER_HOST, or write an archive with type=docker,dest=FILE.tar",
        )
    return replace(found, context=context)


def _configuration(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home(), ".docker"))


def _current(environ: Mapping[str, str]) -> str:
    if environ.get("DOCKER_HOST"):
        return _DEFAULT
    return environ.get("DOCKER_CONTEXT") or _configured(environ) or _DEFAULT


def _configured(environ: Mapping[str, str]) -> str:
    path = _configuration(environ) / "config.json"
    found = _read(path)
    return str(found.get("currentContext") or "") if isinstance(found, dict) else ""


def _of_variables(environ: Mapping[str, str]) -> EngineAddress:
    address = environ.get("DOCKER_HOST", "")
    if not address:
        rootless = Path(environ.get("XDG_RUNTIME_DIR") or "/nonexistent", "docker.sock")
        address = f"unix://{rootless if rootless.exists() and not Path(_SOCKET).exists() else _SOCKET}"
    if not (address.startswith("tcp://") and environ.get("DOCKER_TLS_VERIFY")):
        return EngineAddress(address)
    folder = Path(environ.get("DOCKER_CERT_PATH") or _configuration(environ))
    own = (folder / "cert.pem", folder / "key.pem")
    return EngineAddress(address, secure=True, authority=folder / "ca.pem", own=own)


def _of_context(name: str, environ: Mapping[str, str]) -> EngineAddress:
    folder, key = _configuration(environ) / "contexts", hashlib.sha256(name.encode()).hexdigest()
    path = folder / "meta" / key / "meta.json"
    try:
        endpoint = (_read(path) or {})["Endpoints"]["docker"]
        url, blind = str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except (KeyError, TypeError, AttributeError) as error:
        known = _names(folder / "meta")
        there = f"{path} does not say where it is" if path.exists() else "there is no such context"
        hint = f"known are {', '.join([_DEFAULT, *known])}; choose with DOCKER_CONTEXT, or docker context use"
        raise ExportError(f"cannot use docker's context {name!r}: {there}", hint=hint) from error
    certificates = folder / "tls" / key / "docker"
    if not (url.startswith("tcp://") and (blind or certificates.is_dir())):
        return EngineAddress(url)
    authority, mine = certificates / "ca.pem", certificates / "cert.pem"
    return EngineAddress(
        url,
        secure=True,
        verify=not blind,
        authority=authority if authority.exists() else None,
        own=(mine, certificates / "key.pem") if mine.exists() else None,
    )


def _names(folder: Path) -> list[str]:
    found = [_read(path) for path in folder.glob("*/meta.json")]
    return sorted(str(item["Name"]) for item in found if isinstance(item, dict) and item.get("Name"))


def _read(path: Path) -> Any:
    """What a JSON file says; nothing if it is not there or makes no sense, as docker has it with its configuration."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None

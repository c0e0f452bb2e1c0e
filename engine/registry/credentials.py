"""Who the user is at a registry, as Docker and Podman keep it.

`$DOCKER_CONFIG/config.json` (credHelpers, then credsStore, then auths), then containers' `auth.json` in its places
(containers-auth.json(5)), whose keys may also be namespaces such as `quay.io/team`. Values are read when asked for,
kept in memory only, and never shown: a `Credentials` does not print its secrets.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from engine.errors import SourceError
from engine.registry.reference import DOCKER_HUB
from engine.values import frozen

HELPER_TIMEOUT = 60.0
"""Seconds a credential helper may take; some ask the user something."""

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@frozen
class Credentials:
    """A user name and password, or a token: `identity_token` is traded for access, `registry_token` used as it is."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


@frozen
class CredentialFile:
    """One file of credentials."""

    path: Path
    auths: Mapping[str, Any] = field(repr=False)
    helpers: Mapping[str, str]
    default_helper: str = ""

    def helper(self, names: tuple[str, ...]) -> tuple[str, str] | None:
        """The helper responsible for a registry, and the name to ask it for."""
        for name in names:
            if name in self.helpers:
                return self.helpers[name], name
        return (self.default_helper, names[0]) if self.default_helper else None


class CredentialStore:
    """Finds the credentials for a repository."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._paths = tuple(_paths(environ))
        self._files: tuple[CredentialFile, ...] | None = None
        self._helped: dict[tuple[str, str], Credentials | None] = {}

    async def find(self, domain: str, path: str) -> Credentials | None:
        """The credentials for a repository, None to go there anonymously.

        Raises:
            SourceError: if a file or a helper is there, but broken.
        """
        names = _HUB_KEYS if domain == DOCKER_HUB else (domain,)
        if self._files is None:
            self._files = tuple(file for p in self._paths if (file := _read(p)))
        for file in self._files:
            if (helper := file.helper(names)) and (found := await self._ask(*helper)):
                return found
            if found := _from_auths(file, (*_namespaces(domain, path), *names)):
                return found
        return None

    async def _ask(self, helper: str, server: str) -> Credentials | None:
        if (helper, server) not in self._helped:
            self._helped[helper, server] = await _run_helper(helper, server)
        return self._helped[helper, server]


def _paths(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(os.path.expanduser("~"))
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if own := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(own)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _read(path: Path) -> CredentialFile | None:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SourceError(
            f"cannot read the credentials in {path}: {error}", hint="log in again to write it anew"
        ) from None
    if not isinstance(document, dict):
        raise SourceError(f"the credentials in {path} are not a JSON object", hint="log in again to write it anew")
    auths, helpers = document.get("auths") or {}, document.get("credHelpers") or {}
    default = document.get("credsStore") or ""
    if not (isinstance(auths, dict) and isinstance(helpers, dict) and isinstance(default, str)):
        raise SourceError(f"the credentials in {path} are malformed", hint="log in again to write it anew")
    return CredentialFile(path, auths, {str(k): str(v) for k, v in helpers.items()}, default)


def _namespaces(domain: str, path: str) -> Iterator[str]:
    """`quay.io/team/app`, `quay.io/team`, most particular first."""
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join((domain, *parts[:count]))


def _from_auths(file: CredentialFile, names: tuple[str, ...]) -> Credentials | None:
    by_name = {_bare(key): value for key, value in file.auths.items()}
    for name in names:
        entry = file.auths.get(name) or by_name.get(name)
        if isinstance(entry, dict) and (found := _credentials(entry, file.path)):
            return found
    return None


def _bare(key: str) -> str:
    """A key without its scheme and the path that old versions of Docker wrote: `https://quay.io/v1/` is `quay.io`."""
    if "://" in key:
        return key.partition("://")[2].partition("/")[0]
    return key


def _credentials(entry: Mapping[str, Any], path: Path) -> Credentials | None:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"]), validate=True).decode().rstrip("\0")
        except (binascii.Error, UnicodeDecodeError):
            raise SourceError(f"an entry of {path} is malformed", hint="log in to the registry again") from None
        username, _, password = decoded.partition(":")
    found = Credentials(
        username, password, str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
    )
    return None if found == Credentials() else found


async def _run_helper(helper: str, server: str) -> Credentials | None:
    """Speaks docker-credential-helpers' protocol: the server on stdin, JSON on stdout, status 1 if it knows nothing."""
    import subprocess

    import trio

    name = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        raise SourceError(f'"{helper}" is not the name of a credential helper')
    try:
        with trio.fail_after(HELPER_TIMEOUT):
            done = await trio.run_process(
                [name, "get"], stdin=server.encode(), capture_stdout=True, stderr=subprocess.DEVNULL, check=False
            )
        if done.returncode != 0:
            # Helpers say "credentials not found in native keychain" on stdout; whatever it is, going on without
            # credentials gives the better error, that of the registry.
            return None
        answer = json.loads(done.stdout)
        username, secret = str(answer.get("Username", "")), str(answer["Secret"])
    except FileNotFoundError:
        raise SourceError(f"the credential helper {name} is not installed", hint=f"put {name} on PATH") from None
    except trio.TooSlowError:
        raise SourceError(f"the credential helper {name} did not answer within {HELPER_TIMEOUT:.0f} s") from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise SourceError(f"the credential helper {name} gave no proper answer: {type(error).__name__}") from None
    if username == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(username, secret)

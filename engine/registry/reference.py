"""Image names as people write them, normalised as Docker does: `debian` is `docker.io/library/debian:latest`.

Grammar: github.com/distribution/reference, `reference.go`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from engine.digests import Digest, parse_digest
from engine.errors import SourceError
from engine.values import frozen

DOCKER_HUB = "docker.io"
DOCKER_HUB_HOST = "registry-1.docker.io"
MAX_NAME = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


@frozen
class Reference:
    """An image's name: registry, repository, and a tag or a digest or both (the digest decides then)."""

    domain: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.domain}/{self.path}"

    @property
    def tagged(self) -> str:
        """The reference without its digest."""
        return self.name + (f":{self.tag}" if self.tag else "")

    @property
    def selector(self) -> str:
        """What the protocol asks for: the digest, else the tag."""
        return self.digest or self.tag

    def at(self, digest: Digest) -> Reference:
        """The same name, with this digest."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return self.tagged + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """A reference from its text; the tag is `latest` where there is neither tag nor digest.

    Raises:
        SourceError: saying which part is wrong.
    """
    name, _, digest_text = text.partition("@")
    domain, path = _split_domain(name)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _invalid(text, f'"{tag}" is not a tag: up to 128 letters, digits, "_", "." and "-"')
    try:
        digest = parse_digest(digest_text) if "@" in text else None
    except ValueError as error:
        raise _invalid(text, f"{error}; write @sha256: and 64 hexadecimal digits") from error
    if not _DOMAIN.fullmatch(domain):
        raise _invalid(text, f'"{domain}" is not the name of a registry')
    if not _PATH.fullmatch(path):
        lower = path.lower()
        hint = f"; names are in lower case: {lower}" if lower != path and _PATH.fullmatch(lower) else ""
        raise _invalid(text, f'"{path}" is not the name of a repository{hint}')
    if len(domain) + 1 + len(path) > MAX_NAME:
        raise _invalid(text, f"the name is longer than {MAX_NAME} characters")
    if not colon and digest is None:
        tag = "latest"
    return Reference(domain, path, tag, digest)


def _split_domain(name: str) -> tuple[str, str]:
    """Registry and rest. The first part is a registry only if it cannot be part of a repository's name."""
    if _IDENTIFIER.fullmatch(name):
        raise _invalid(name, "64 hexadecimal digits are an image's ID, which only a Docker engine knows")
    first, slash, rest = name.partition("/")
    is_domain = slash and (any(c in first for c in ".:[") or first == "localhost" or first.lower() != first)
    domain, path = (first, rest) if is_domain else (DOCKER_HUB, name)
    if domain == "index.docker.io":
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return domain, path


def api_host(domain: str) -> str:
    """The host that serves the protocol for a registry's name."""
    return DOCKER_HUB_HOST if domain == DOCKER_HUB else domain


def is_local(host: str) -> bool:
    """Whether a host (with or without a port) is this machine, where plain http is nothing to worry about."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _invalid(text: str, why: str) -> SourceError:
    return SourceError(f'invalid image reference "{text}": {why}')

"""Image names: `alpine` is `docker.io/library/alpine:latest`. Grammar and messages are the distribution project's."""

from __future__ import annotations

import re
from functools import lru_cache

from engine.values import frozen, replace

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_PATH = rf"{_PATH_PART}(?:/{_PATH_PART})*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?:({_DOMAIN})/)?({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_DIGEST_SIZES = {"sha256": 64, "sha384": 96, "sha512": 128}
_MAX_PATH = 255
_OFFICIAL = "library/"
DEFAULT_DOMAIN = "docker.io"


class BadReference(ValueError):
    """A text that is no image name."""


@frozen
class Reference:
    """An image's full name; tag and digest can be empty."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.domain}/{self.path}{tag}" + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> Reference:
        """With `latest` where there is neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag="latest")

    def pinned(self, digest: str) -> Reference:
        """With a digest."""
        return replace(self, digest=digest)

    @property
    def familiar(self) -> str:
        """As people write it: without `docker.io` and `library`."""
        path = self.path
        if self.domain != DEFAULT_DOMAIN:
            return str(self)
        inner = path.removeprefix(_OFFICIAL)
        if "/" not in inner:
            path = inner
        return str(self).replace(f"{self.domain}/{self.path}", path, 1)


@lru_cache(maxsize=1024)
def parse(text: str) -> Reference:
    """A full name from a short one.

    Raises:
        BadReference: with the peer's message.
    """
    if _IDENTIFIER.fullmatch(text):
        raise BadReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, rest = _split_domain(text)
    remote = rest.partition(":")[0]
    if remote.lower() != remote:
        raise BadReference(f"invalid reference format: repository name ({remote}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if match is None:
        lowered = _REFERENCE.fullmatch(f"{domain}/{rest}".lower())
        raise BadReference("repository name must be lowercase" if lowered else "invalid reference format")
    if len(match[2]) > _MAX_PATH:
        raise BadReference(f"repository name must not be more than {_MAX_PATH} characters")
    if match[4]:
        check_digest(match[4])
    return Reference(match[1] or "", match[2], match[3] or "", match[4] or "")


def check_digest(digest: str) -> None:
    """Checks that a text is a digest.

    Raises:
        BadReference: with the peer's message.
    """
    algorithm, _, value = digest.partition(":")
    if not algorithm or not value:
        raise BadReference("invalid checksum digest format")
    if algorithm not in _DIGEST_SIZES:
        raise BadReference("unsupported digest algorithm")
    if len(value) != _DIGEST_SIZES[algorithm]:
        raise BadReference("invalid checksum digest length")
    if not re.fullmatch("[a-f0-9]*", value):
        raise BadReference("invalid checksum digest format")


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, _OFFICIAL + name
    if first == "index.docker.io":
        domain, remote = DEFAULT_DOMAIN, rest
    elif first == "localhost" or "." in first or ":" in first or first.lower() != first:
        domain, remote = first, rest
    else:
        domain, remote = DEFAULT_DOMAIN, name
    if domain == DEFAULT_DOMAIN and "/" not in remote:
        remote = _OFFICIAL + remote
    return domain, remote

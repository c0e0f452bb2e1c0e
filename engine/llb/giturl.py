"""Git addresses: URLs (`https://host/path.git#ref:subdir`) and ssh's short form (`git@host:path#ref:subdir`).

An identifier of a git source names host, path, ref and folder, whatever the protocol, so that the same commit fetched
by https and by ssh is the same source; the real URL is an attribute.
"""

from __future__ import annotations

import re
from dataclasses import field
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from engine.llb.paths import join
from engine.values import frozen

PROTOCOLS = ("http", "https", "ssh", "git")
_SCHEME = re.compile(r"([a-zA-Z0-9]+)://")
_SHORT = re.compile(r"([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):(.*?)(?:\?(.*?))?(?:#(.*))?", re.DOTALL)


class GitURLError(ValueError):
    """A text that is no git address."""


@frozen
class GitURL:
    """`remote` is what git is given: the address without query and fragment."""

    scheme: str
    host: str
    path: str
    remote: str
    ref: str = ""
    subdir: str = ""
    query: dict[str, list[str]] = field(default_factory=dict)

    @property
    def location(self) -> str:
        """Host and path, whatever the protocol."""
        return self.host + join("/", self.path)


def parse(text: str) -> GitURL:
    """A git address.

    Raises:
        GitURLError: if the text is none.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        short = _SHORT.fullmatch(text)
        if short is None:
            raise GitURLError("unknown protocol")
        user, host, path, query, fragment = short.groups()
        ref, subdir = _fragment(fragment or "")
        return GitURL("ssh", host, path, f"{user}@{host}:{path}", ref, subdir, _query(query or ""))
    name = scheme[1].lower()
    if name not in PROTOCOLS:
        raise GitURLError(f"{name}: invalid protocol")
    return from_url(text)


def from_url(text: str) -> GitURL:
    """A git address from a URL of any scheme.

    Raises:
        GitURLError: if it is not a well-formed URL.
    """
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise GitURLError(str(error)) from None
    host = url.netloc.rpartition("@")[2]
    remote = urlunsplit((url.scheme, url.netloc, url.path, "", ""))
    ref, subdir = _fragment(unquote(url.fragment))
    return GitURL(url.scheme, host, unquote(url.path), remote, ref, subdir, _query(url.query))


def _query(text: str) -> dict[str, list[str]]:
    return parse_qs(text, keep_blank_values=True)


def _fragment(text: str) -> tuple[str, str]:
    ref, _, subdir = text.partition(":")
    return ref, join("/", subdir).lstrip("/")

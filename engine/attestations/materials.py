"""What an image was made from: the images, repositories and web files its definition names, and what they meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.attestations.purl import image_purl
from engine.digests import Digest
from engine.llb.definition import Vertex
from engine.registry.reference import parse

_MASK = "xxxxx"
_ORDER = ("docker-image", "oci-layout", "git", "http", "https")


@dataclass(frozen=True, slots=True)
class Material:
    """A source by its address, with the digest of what came from it."""

    uri: str
    digest: Mapping[str, str]

    @property
    def fields(self) -> dict[str, Any]:
        """As SLSA writes it."""
        return {"uri": self.uri} | ({"digest": dict(self.digest)} if self.digest else {})

    def fits(self, context: str) -> bool:
        """Whether a remote context is this."""
        return self.uri in (context, context.partition("#")[0])


def materials(vertices: Iterable[Vertex], pins: Mapping[Digest, str]) -> list[Material]:
    """The materials, each once: images first, then repositories, then files, each kind by address."""
    found: dict[str, tuple[int, Material]] = {}
    for vertex in vertices:
        source = vertex.op.source
        scheme = source.identifier.partition("://")[0] if source else ""
        if source is None or scheme not in _ORDER:
            continue
        material = _material(scheme, vertex, pins.get(vertex.digest, ""))
        found.setdefault(material.uri, (min(_ORDER.index(scheme), 3), material))
    return [material for _, material in sorted(found.values(), key=lambda item: (item[0], item[1].uri))]


def _material(scheme: str, vertex: Vertex, pin: str) -> Material:
    source = vertex.op.source
    assert source is not None
    rest = source.identifier.partition("://")[2]
    if scheme == "docker-image":
        reference = parse(rest)
        # What the frontend has pinned is shown under the name that the user wrote.
        name = reference.tagged if reference.tag else str(reference)
        return Material(image_purl(name, vertex.op.platform), _digest(str(reference.digest or pin)))
    if scheme == "oci-layout":
        name, _, digest = rest.partition("@")
        return Material(image_purl(name, vertex.op.platform, "oci"), _digest(digest or pin))
    if scheme == "git":
        url = source.attrs.get("git.fullurl") or f"https://{rest.partition('#')[0]}"
        return Material(without_password(url), {"sha256" if len(pin) == 64 else "sha1": pin} if pin else {})
    return Material(without_password(source.identifier), _digest(pin))


def _digest(text: str) -> dict[str, str]:
    algorithm, mark, value = text.partition(":")
    return {algorithm: value} if mark else {}


def without_password(url: str) -> str:
    """A URL that tells nobody how to log in (tokens may be in the place of names); what is no URL as it is."""
    if "://" not in url or "@" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url
    user, colon, _ = login.partition(":")
    masked = (_MASK if user else "") + (f":{_MASK}" if colon else "")
    return urlunsplit(parts._replace(netloc=f"{masked}@{host}"))

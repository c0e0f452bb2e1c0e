"""Where an image is: a repository of a registry, or an OCI layout. Both give documents and blobs, verified."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine import oci
from engine.blobs import CorruptBlob
from engine.digests import Digest, hex_of
from engine.errors import SourceError
from engine.registry.reference import Reference, parse
from engine.sources.oci_layout import Layout

if TYPE_CHECKING:
    from engine.registry.client import Registries

_PIECE = 1 << 20
_ARCHIVE = "oci-archive:"
_LAYOUTS = ("oci-layout://", _ARCHIVE, "oci:")
_REGISTRIES = ("docker-image://", "docker://")


class Place(Protocol):
    """An image somewhere, by the name that the user gave it."""

    name: str

    async def root(self) -> oci.Descriptor:
        """What the name means now. Raises SourceError."""
        ...

    async def document(self, digest: Digest, media_type: str) -> bytes:
        """A manifest or index, verified. Raises SourceError."""
        ...

    async def config(self, blob: oci.Descriptor) -> bytes:
        """An image config or another small blob, verified. Raises SourceError."""
        ...

    def blob(self, blob: oci.Descriptor) -> AsyncGenerator[bytes, None]:
        """A blob in pieces. Raises CorruptBlob at its end if it was not what its digest says; SourceError."""
        ...


class RegistryPlace:
    """An image of a registry."""

    def __init__(self, reference: Reference, registries: Registries) -> None:
        self.name = str(reference)
        self.reference = reference
        self._registries = registries

    async def root(self) -> oci.Descriptor:
        """What the name means now."""
        found = await self._registries.head(self.reference)
        return found or (await self._registries.manifest(self.reference))[0]

    async def document(self, digest: Digest, media_type: str) -> bytes:
        """A manifest or index."""
        return (await self._registries.manifest(self.reference.at(digest)))[1]

    async def config(self, blob: oci.Descriptor) -> bytes:
        """An image config."""
        return await self._registries.small_blob(self.reference, blob, oci.MAX_CONFIG)

    def blob(self, blob: oci.Descriptor) -> AsyncGenerator[bytes, None]:
        """A blob in pieces."""
        return self._registries.blob(self.reference, blob)


class LayoutPlace:
    """An image of an OCI layout: a folder, or a tar of one."""

    def __init__(self, path: Path, reference: str) -> None:
        self.name = f"oci:{path}{reference}"
        self._layout = Layout(path)
        self._reference = reference

    async def root(self) -> oci.Descriptor:
        """What the name means now."""
        found = self._layout.find(self._reference)
        return found if found.media_type else await self._described(found.digest)

    async def _described(self, digest: Digest) -> oci.Descriptor:
        """A document that was named by its digest alone."""
        data = await self._layout.document(digest, "")
        return oci.Descriptor(oci.parse_document(data).media_type, digest, len(data))

    async def document(self, digest: Digest, media_type: str) -> bytes:
        """A manifest or index."""
        return await self._layout.document(digest, media_type)

    async def config(self, blob: oci.Descriptor) -> bytes:
        """An image config."""
        return await self._layout.config(blob)

    async def blob(self, blob: oci.Descriptor) -> AsyncGenerator[bytes, None]:
        """A blob in pieces."""
        import trio

        hashing = hashlib.sha256()
        with self._layout.open(blob.digest) as file:
            while piece := await trio.to_thread.run_sync(file.read, _PIECE):
                hashing.update(piece)
                yield piece
        if hashing.hexdigest() != hex_of(blob.digest):
            raise CorruptBlob(f"the blob {blob.digest} of {self.name} is damaged", hint="write the layout anew")


def split_layout(text: str) -> tuple[Path, str] | None:
    """The path and the `[:TAG][@DIGEST]` of a layout's name; None if it names no layout.

    Layouts begin with `oci:`, `oci-archive:` or `oci-layout://`; what begins like a path (`./`, `/`) is one, too.
    """
    scheme = next((scheme for scheme in _LAYOUTS if text.startswith(scheme)), "")
    if not scheme and not text.startswith(("./", "../", "/")):
        return None
    path, at, digest = text.removeprefix(scheme).partition("@")
    head, colon, tag = path.rpartition(":")
    if colon and "/" not in tag and head:
        path, tag = head, f":{tag}"
    else:
        tag = ""
    return Path(path), tag + at + digest


def is_archive(text: str) -> bool:
    """Whether a layout's name says that it is a tar."""
    return text.startswith(_ARCHIVE)


def registry_reference(text: str) -> Reference:
    """The reference of an image in a registry. Raises SourceError."""
    scheme = next((scheme for scheme in _REGISTRIES if text.startswith(scheme)), "")
    return parse(text.removeprefix(scheme))


def open_place(text: str, registries: Registries) -> Place:
    """The image that a text names. Raises SourceError if the text makes no sense, or there is no such layout."""
    found = split_layout(text)
    if found is not None:
        return LayoutPlace(*found)
    return RegistryPlace(registry_reference(text), registries)


async def read_blob(place: Place, blob: oci.Descriptor, limit: int) -> bytes:
    """A blob of at most `limit` bytes. Raises SourceError."""
    if blob.size > limit:
        raise SourceError(f"the blob {blob.digest} of {place.name} has {blob.size} bytes, more than {limit} allowed")
    if blob.data is not None:
        return blob.data
    async with aclosing(place.blob(blob)) as pieces:
        return b"".join([piece async for piece in pieces])

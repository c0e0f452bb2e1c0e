"""Copies images between registries and layouts as they are: all platforms, with what is attached to them.

Only what is not there already is sent: a manifest that the goal has brings nothing along, a blob that a sister
repository has is mounted, and what must travel goes through a temporary file, verified before it is sent on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from engine import oci, platforms
from engine.digests import Digest
from engine.errors import SourceError
from engine.exporters.layers import first_error
from engine.exporters.layout_folder import LayoutFolder
from engine.imagetools.place import Place, RegistryPlace
from engine.llb.ops import Platform
from engine.registry.reference import Reference
from engine.sources.found_image import offers, too_many
from engine.values import frozen

if TYPE_CHECKING:
    import trio

    from engine.registry.client import Registries

_AT_ONCE = 4
_PIECE = 1 << 20
_MEMORY = 4 << 20
"""Blobs up to this size travel in memory."""


@frozen
class Copied:
    """What a copy came to: what the new name means, and how many blobs and bytes had to be sent."""

    root: oci.Descriptor
    blobs: int
    bytes: int


class Goal(Protocol):
    """Where an image is copied to."""

    async def has(self, document: oci.Descriptor) -> bool:
        """Whether a manifest or index is there, and so everything that it names."""
        ...

    async def wants(self, blob: oci.Descriptor, source: Place) -> bool:
        """Whether a blob must be sent; it may have been brought some cheaper way."""
        ...

    async def put(self, blob: oci.Descriptor, content: Callable[[], BinaryIO]) -> None:
        """Takes a blob."""
        ...

    async def put_document(self, document: oci.Descriptor, data: bytes, *, root: bool) -> None:
        """Takes a manifest or index; the root gets the name."""
        ...


class RegistryGoal:
    """A repository of a registry."""

    def __init__(self, reference: Reference, registries: Registries) -> None:
        self._reference = reference
        self._registries = registries
        self._bare = replace(reference, tag="", digest=None)

    async def has(self, document: oci.Descriptor) -> bool:
        """Whether a manifest or index is there."""
        return await self._registries.pushed(self._bare.at(document.digest)) is not None

    async def wants(self, blob: oci.Descriptor, source: Place) -> bool:
        """Whether a blob must be sent; one of the same registry is mounted."""
        sister = source.reference if isinstance(source, RegistryPlace) else None
        return not await self._registries.find_or_mount(self._reference, blob, sister)

    async def put(self, blob: oci.Descriptor, content: Callable[[], BinaryIO]) -> None:
        """Takes a blob."""
        await self._registries.push_blob(self._reference, blob, content)

    async def put_document(self, document: oci.Descriptor, data: bytes, *, root: bool) -> None:
        """Takes a manifest or index."""
        goal = self._reference if root and self._reference.tag else self._bare.at(document.digest)
        await self._registries.push_manifest(goal, data, document.media_type)


class LayoutGoal:
    """A layout folder, which is made if it is not there. Its tag is `latest` unless said."""

    def __init__(self, path: Path, reference: str) -> None:
        if "@" in reference:
            raise SourceError(f"an image cannot be copied to a digest: oci:{path}{reference}", hint="give it a tag")
        self._folder = LayoutFolder(path)
        self._tag = reference.removeprefix(":") or "latest"

    async def has(self, document: oci.Descriptor) -> bool:
        """Never: a layout may lack what its manifests name, so each blob is looked for."""
        return False

    async def wants(self, blob: oci.Descriptor, source: Place) -> bool:
        """Whether a blob must be sent."""
        return not self._folder.has(blob)

    async def put(self, blob: oci.Descriptor, content: Callable[[], BinaryIO]) -> None:
        """Takes a blob."""
        import trio

        def write() -> None:
            with content() as file:
                self._folder.put(blob.digest, blob.size, _pieces(file))

        await trio.to_thread.run_sync(write)

    async def put_document(self, document: oci.Descriptor, data: bytes, *, root: bool) -> None:
        """Takes a manifest or index."""
        self._folder.put(document.digest, len(data), iter([data]))
        if root:
            entry = oci.Descriptor(document.media_type, document.digest, len(data))
            self._folder.enter([replace(entry, annotations={oci.REF_NAME: self._tag})])


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


async def copy(source: Place, goal: Goal, wanted: Sequence[Platform] = ()) -> Copied:
    """Copies an image; only some platforms of an index if any are given (which makes another index).

    Raises:
        SourceError, RegistryError: if it cannot be had, or not be taken.
    """
    return await _Copy(source, goal, wanted).run()


class _Copy:
    """One copy: documents are read from the top down, and written from the bottom up."""

    def __init__(self, source: Place, goal: Goal, wanted: Sequence[Platform]) -> None:
        self._source = source
        self._goal = goal
        self._wanted = wanted
        self._blobs = self._bytes = self._documents = 0
        self._seen: dict[Digest, trio.Event] = {}

    async def run(self) -> Copied:
        import trio

        limit = trio.CapacityLimiter(_AT_ONCE)
        root = await self._source.root()
        data = await self._source.document(root.digest, root.media_type)
        if self._wanted and root.is_index:
            data = await self._narrowed(data, root)
            root = oci.describe(data, root.media_type)
        try:
            await self._document(root, data, limit, depth=0)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        return Copied(root, self._blobs, self._bytes)

    async def _narrowed(self, data: bytes, root: oci.Descriptor) -> bytes:
        """The index with the wanted platforms, and with what is said about them."""
        index = oci.parse_document(data, root.media_type)
        assert isinstance(index, oci.Index)
        offered = await offers(self._source.name, index.manifests, self._source)
        kept: list[oci.Descriptor] = []
        for platform in self._wanted:
            number = platforms.choose(platform, [offer for offer, _ in offered])
            if number is None:
                raise SourceError(f"{self._source.name} has no image for {platforms.format(platform)}")
            chosen = replace(offered[number][1], platform=offered[number][0])
            if chosen not in kept:
                kept.append(chosen)
        digests = {item.digest for item in kept}
        said = [item for item in index.manifests if item.annotations.get("vnd.docker.reference.digest") in digests]
        return oci.document_bytes(replace(index, manifests=(*kept, *said)))

    async def _document(self, found: oci.Descriptor, data: bytes, limit: trio.CapacityLimiter, *, depth: int) -> None:
        import trio

        self._documents += 1
        if self._documents > oci.MAX_DOCUMENTS or depth > oci.MAX_DEPTH:
            raise too_many(self._source.name)
        if depth or not await self._goal.has(found):
            document = oci.parse_document(data, found.media_type)
            async with trio.open_nursery() as nursery:
                if isinstance(document, oci.Index):
                    for item in document.manifests:
                        nursery.start_soon(self._below, item, limit, depth)
                else:
                    for blob in (document.config, *document.layers):
                        nursery.start_soon(self._blob, blob, limit)
        await self._goal.put_document(found, data, root=depth == 0)

    async def _below(self, item: oci.Descriptor, limit: trio.CapacityLimiter, depth: int) -> None:
        if await self._goal.has(item):
            return
        data = await self._source.document(item.digest, item.media_type)
        await self._document(item, data, limit, depth=depth + 1)

    async def _blob(self, blob: oci.Descriptor, limit: trio.CapacityLimiter) -> None:
        import trio

        if blob.urls:
            return  # what has addresses of its own is not meant to be passed on
        if blob.digest in self._seen:
            await self._seen[blob.digest].wait()  # a manifest may only come after all that it names
            return
        done = self._seen[blob.digest] = trio.Event()
        await self._send(blob, limit)
        done.set()

    async def _send(self, blob: oci.Descriptor, limit: trio.CapacityLimiter) -> None:
        async with limit:
            if not await self._goal.wants(blob, self._source):
                return
            if blob.size <= _MEMORY:
                data = await self._small(blob)
                await self._goal.put(blob, lambda: BytesIO(data))
            else:
                await self._through_file(blob)
            self._blobs += 1
            self._bytes += blob.size

    async def _small(self, blob: oci.Descriptor) -> bytes:
        if blob.data is not None:
            return blob.data
        async with aclosing(self._source.blob(blob)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def _through_file(self, blob: oci.Descriptor) -> None:
        import trio

        with tempfile.NamedTemporaryFile(prefix="bakery-copy-") as file:
            async with aclosing(self._source.blob(blob)) as pieces:
                async for piece in pieces:
                    await trio.to_thread.run_sync(file.write, piece)
            file.flush()
            await self._goal.put(blob, partial(_open, file.name))


def _open(name: str) -> BinaryIO:
    return open(name, "rb")

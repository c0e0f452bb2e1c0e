"""Finds or makes the blob of each layer of a snapshot, once: for all targets, outputs and processes.

A layer that came with an image is passed on as it came, without being fetched. One that was made here becomes a tar,
its digest and its compressed form in one pass; what was made is recorded under the form that was asked for, together
with the digest of the tar, so the next export of the layer reads nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from engine import oci
from engine.archive.compression import Compression
from engine.cache.lost import lost_layers
from engine.digests import Digest, parse_digest
from engine.errors import EngineError, ExportError, SourceError, disk_hint
from engine.exporters.attributes import LayerForm
from engine.exporters.estargz import SIZE_ANNOTATION, TOC_ANNOTATION, EstargzWriter
from engine.results import LayerID, Snapshot
from engine.sources.layers import LAYOUT_ORIGIN, OBJECTS_ORIGIN, LayerBlob
from engine.values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from engine.blobs import BlobWriter
    from engine.exporters.context import ExportContext
    from engine.exporters.early import EarlyUpload, GrowingBlob

_MEDIA_TYPES = {
    Compression.UNCOMPRESSED: oci.OCI_LAYER,
    Compression.GZIP: oci.OCI_LAYER_GZIP,
    Compression.ZSTD: oci.OCI_LAYER_ZSTD,
}
_DOCKER_TYPES = {
    oci.OCI_LAYER: oci.DOCKER_LAYER,
    oci.OCI_LAYER_GZIP: oci.DOCKER_LAYER_GZIP,
    oci.OCI_LAYER_ZSTD: oci.DOCKER_LAYER_ZSTD,
}
_OCI_TYPES = {docker: ours for ours, docker in _DOCKER_TYPES.items()}
_BITE = 4 << 20


@frozen
class ExportedLayer:
    """A layer as it goes into an image: its blob, the digest of its tar, when it was made (seconds) and what made it.

    `origin` is where the blob can be had if it is not in the store (see `LayerBlob`). `rewritten` is the epoch to
    which its times were cut.
    """

    layer: LayerID
    blob: oci.Descriptor
    diff_id: Digest
    created: float
    description: str
    origin: str = ""
    rewritten: int | None = None


class LayerExporter:
    """The layers of snapshots in one form."""

    def __init__(self, context: ExportContext, form: LayerForm, epoch: int | None = None) -> None:
        """`epoch`: no time in layers that were made here is later than this (seconds)."""
        self._context = context
        self._form = form
        self._epoch = epoch
        self._key = form.key + ("" if epoch is None else f" epoch={epoch}")

    async def export(self, snapshot: Snapshot) -> list[ExportedLayer]:
        """The layers of a snapshot, the lowest first; those that must be made are made at the same time.

        Raises:
            ExportError, SourceError, StateError: if one cannot be had or made.
        """
        import trio

        done: dict[int, ExportedLayer] = {}
        limit = trio.CapacityLimiter(max(2, os.cpu_count() or 1))

        async def one(position: int) -> None:
            done[position] = await self._layer(snapshot, position, limit)

        try:
            async with trio.open_nursery() as nursery:
                for position in range(len(snapshot.layers)):
                    nursery.start_soon(one, position)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        return [done[position] for position in range(len(snapshot.layers))]

    async def _layer(self, snapshot: Snapshot, position: int, limit: trio.CapacityLimiter) -> ExportedLayer:
        from engine.locks import file_lock

        layer = snapshot.layers[position]
        if found := self._find(layer):
            return found
        async with file_lock(self._context.state.locks / f"blob-{layer}"):
            if found := self._find(layer):
                return found
            given = self._given(layer)
            if given is not None:
                return await self._repack(given, limit)
            return await self._make(layer, Snapshot(snapshot.layers[:position]), limit)

    def _find(self, layer: LayerID) -> ExportedLayer | None:
        """What is known already and needs no work."""
        given = self._given(layer)
        if given is not None and (not self._form.force or compression_of(given.blob) == self._form.compression):
            return given
        rows = self._context.state.query(
            "SELECT media_type, digest, size, options FROM layer_blobs WHERE layer = ? AND options LIKE ?",
            layer,
            f"{self._key} diff=%",
        )
        for media_type, digest, size, options in rows:
            if self._context.blobs.has(digest):
                diff_id, _, annotations = options.rpartition(" diff=")[2].partition(" ")
                blob = oci.Descriptor(media_type, digest, size, annotations=json.loads(annotations or "{}"))
                return self._described(layer, blob, parse_digest(diff_id))
        return None

    def _given(self, layer: LayerID) -> ExportedLayer | None:
        """The blob that a layer came with, if it came with an image. Of several that is one in the form that is asked
        for, whatever else was built here; then one that need not be fetched."""
        rows = self._context.state.query(
            "SELECT b.media_type, b.digest, b.size, b.origin, l.diff_id"
            " FROM layer_blobs b JOIN layers l ON l.id = b.layer"
            " WHERE b.layer = ? AND b.options = '' AND l.diff_id IS NOT NULL ORDER BY b.digest",
            layer,
        )
        ranks: list[tuple[tuple[bool, bool], ExportedLayer]] = []
        for media_type, digest, size, origin, diff_id in rows:
            here = self._context.blobs.has(digest)
            if here or origin:
                exported = self._described(layer, oci.Descriptor(media_type, digest, size), diff_id)
                other = compression_of(exported.blob) != self._form.compression
                ranks.append(((other, not here), replace(exported, origin=origin, rewritten=None)))
        return min(ranks, key=lambda rank: rank[0])[1] if ranks else None

    def _described(self, layer: LayerID, blob: oci.Descriptor, diff_id: Digest) -> ExportedLayer:
        rows = self._context.state.query("SELECT created, description FROM layers WHERE id = ?", layer)
        created, description = rows[0] if rows else (0.0, "")
        return ExportedLayer(layer, blob, diff_id, created, description, rewritten=self._epoch)

    async def _make(self, layer: LayerID, below: Snapshot, limit: trio.CapacityLimiter) -> ExportedLayer:
        import trio

        lower = self._context.snapshots.below(layer)
        lower = below if lower is None else lower
        await self._context.snapshots.ensure(lower, self._context.progress)
        self._context.progress(f"packing layer {layer[:12]}", 0, 0, False)
        early = self._context.early
        if early is None:
            made = await trio.to_thread.run_sync(self._write, layer, lower, None, limiter=limit)
        else:
            made = await self._make_and_send(layer, lower, early, limit)
        self._context.progress(f"packing layer {layer[:12]}", made.blob.size, made.blob.size, True)
        return made

    async def _make_and_send(
        self, layer: LayerID, lower: Snapshot, early: EarlyUpload, limit: trio.CapacityLimiter
    ) -> ExportedLayer:
        import trio

        from engine.exporters.early import GrowingBlob

        growing = GrowingBlob()
        made: ExportedLayer | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(early.follow, growing)
                try:
                    made = await trio.to_thread.run_sync(self._write, layer, lower, growing, limiter=limit)
                finally:
                    growing.end(made.blob if made else None)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        finally:
            growing.close()
        assert made is not None
        return made

    def _write(self, layer: LayerID, lower: Snapshot, growing: GrowingBlob | None) -> ExportedLayer:
        from engine.archive.layer_tar import write_layer

        snapshots = self._context.snapshots
        with self._context.blobs.writer() as writer:
            if growing is not None:
                growing.begin(writer)
            packer = Packer(writer, self._form, growing.grew if growing else None)
            try:
                write_layer(snapshots.layer_path(layer), snapshots.tree(lower), packer, epoch=self._epoch)
            except OSError as error:
                hint = disk_hint(error, "run `bakery doctor`, then the build again")
                raise ExportError(f"cannot read layer {layer}: {error.strerror}", hint=hint) from error
            return self._recorded(layer, packer.finish())

    async def _repack(self, given: ExportedLayer, limit: trio.CapacityLimiter) -> ExportedLayer:
        """The same tar in another compression."""
        import trio

        await bring(self._context, LayerBlob(given.blob, given.origin))

        def repack() -> ExportedLayer:
            from engine.archive.compression import decompressor

            blobs = self._context.blobs
            with blobs.writer() as writer, blobs.open(given.blob.digest) as source:
                packer, plain = Packer(writer, self._form), decompressor(source)
                while piece := plain.read(_BITE):
                    packer.write(piece)
                packed = packer.finish()
            if packed.source != given.diff_id:
                raise ExportError(f"the layer {given.blob.digest} is not what its image said it was")
            return self._recorded(given.layer, packed)

        return replace(await trio.to_thread.run_sync(repack, limiter=limit), rewritten=None)

    def _recorded(self, layer: LayerID, packed: Packed) -> ExportedLayer:
        blob = packed.blob
        self._context.state.write(
            "INSERT OR REPLACE INTO layer_blobs (layer, digest, media_type, size, options) VALUES (?, ?, ?, ?, ?)",
            layer,
            blob.digest,
            blob.media_type,
            blob.size,
            f"{self._key} diff={packed.diff_id}"
            + (f" {json.dumps(dict(blob.annotations), sort_keys=True)}" if blob.annotations else ""),
        )
        return self._described(layer, blob, packed.diff_id)


async def bring(context: ExportContext, blob: LayerBlob) -> None:
    """Makes sure that a blob is in the store.

    Raises:
        SourceError: if it cannot be had.
    """
    import trio

    if await trio.to_thread.run_sync(context.blobs.has, blob.descriptor.digest):
        return
    try:
        await _fetch(context, blob)
    except SourceError as error:
        rows = context.state.query("SELECT layer FROM layer_blobs WHERE digest = ?", blob.descriptor.digest)
        raise lost_layers(context.state, [row[0] for row in rows], error) from error


async def _fetch(context: ExportContext, blob: LayerBlob) -> None:
    import trio

    found = blob.descriptor
    if blob.origin.startswith(LAYOUT_ORIGIN):
        await trio.to_thread.run_sync(_copy_from_layout, context, blob)
    elif blob.origin.startswith(OBJECTS_ORIGIN):
        from engine.objects.fetching import fetch_object

        await fetch_object(context.blobs, blob.origin, found, context.progress)
    elif blob.origin:
        await context.registries.fetch_blob_to(context.blobs, blob.origin, found)
    else:
        raise SourceError(f"the blob {found.digest} is gone, and was only here", hint="run the build again")


def _copy_from_layout(context: ExportContext, blob: LayerBlob) -> None:
    found = blob.descriptor
    path = os.path.join(blob.origin.removeprefix(LAYOUT_ORIGIN), "blobs", *found.digest.split(":"))
    try:
        with open(path, "rb", buffering=0) as source, context.blobs.writer() as writer:
            while piece := source.read(_BITE):
                writer.write(piece)
            writer.commit(found.digest, found.size)
    except OSError as error:
        raise SourceError(f"cannot read the blob {found.digest} in its layout: {error.strerror}") from error


def compression_of(blob: oci.Descriptor) -> str:
    """BuildKit's word for how a layer's blob is compressed."""
    if blob.media_type.endswith(("gzip",)):
        return "gzip"
    return "zstd" if blob.media_type.endswith("zstd") else "uncompressed"


def with_types(blob: oci.Descriptor, *, oci_types: bool) -> oci.Descriptor:
    """A layer's descriptor with its media type in OCI's or in Docker's words."""
    table = _OCI_TYPES if oci_types else _DOCKER_TYPES
    return replace(blob, media_type=table.get(blob.media_type, blob.media_type))


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of several errors that is ours to tell; what is no error of the engine goes on whole."""
    matched, rest = group.split(EngineError)
    if matched is None or (rest is not None and rest.split(Exception)[0] is not None):
        return group
    found: BaseException = matched
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


@frozen
class Packed:
    """A packed tar: its blob, the digest of the tar inside of it, and that of the tar that came.

    The two differ only where the form adds to the tar, as eStargz does.
    """

    blob: oci.Descriptor
    diff_id: Digest
    source: Digest


class Packer:
    """tar → its digest → compressor → its digest → blob. Runs in a thread of trio's, and stops when cancelled."""

    def __init__(self, writer: BlobWriter, form: LayerForm, grew: Callable[[int], None] | None = None) -> None:
        """`grew` is told how many bytes the blob has, whenever it has more."""
        from engine.archive.compression import compressor

        self._writer = writer
        self._grew = grew
        self._stargz = EstargzWriter(writer, form.level) if form.compression == "estargz" else None
        self._compression = Compression.GZIP if self._stargz else Compression(form.compression)
        self._compressor = self._stargz or compressor(writer, self._compression, form.level)
        # Without compression the blob's own digest is the tar's: hashing twice would be a waste.
        self._hash = None if self._compression is Compression.UNCOMPRESSED else hashlib.sha256()

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        import trio

        trio.from_thread.check_cancelled()
        if self._hash is not None:
            self._hash.update(data)
        self._compressor.write(memoryview(data))
        if self._grew is not None:
            self._grew(self._writer.size)

    def finish(self) -> Packed:
        self._compressor.close()
        size = self._writer.size
        digest = self._writer.commit()
        source = Digest(f"sha256:{self._hash.hexdigest()}") if self._hash else digest
        blob = oci.Descriptor(_MEDIA_TYPES[self._compression], digest, size)
        if self._stargz is None:
            return Packed(blob, source, source)
        annotations = {TOC_ANNOTATION: self._stargz.toc_digest, SIZE_ANNOTATION: str(self._stargz.uncompressed)}
        return Packed(replace(blob, annotations=annotations), self._stargz.diff_id, source)

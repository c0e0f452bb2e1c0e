"""What cache mounts hold, taken along with a cache: as tars that BuildKit passes over (`mounts=true`).

Only caches that begin empty are taken: one that is seeded from a file system is known by that very file system.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from engine.archive.compression import decompressor
from engine.archive.unpack import extract
from engine.cache.mounts import CacheMounts, mount_name
from engine.cache.remote.blobs import CacheBlob
from engine.errors import EngineError
from engine.exporters.gotime import format_time
from engine.exporters.layers import Packer, bring
from engine.llb.definition import Vertex
from engine.llb.ops import SCRATCH, CacheSharing, MountType
from engine.results import Snapshot
from engine.sources.layers import LayerBlob

if TYPE_CHECKING:
    from engine.exporters.attributes import LayerForm
    from engine.exporters.context import ExportContext


def caches_of(vertices: Iterable[Vertex]) -> list[str]:
    """The IDs of the cache mounts that steps use."""
    found = {
        mount.cache_opt.id
        for vertex in vertices
        if vertex.op.exec is not None
        for mount in vertex.op.exec.mounts
        if mount.mount_type is MountType.CACHE and mount.input == SCRATCH and mount.cache_opt is not None
    }
    return sorted(found)


async def pack_mounts(
    caches: Iterable[str], mounts: CacheMounts, form: LayerForm, context: ExportContext
) -> dict[str, CacheBlob]:
    """The blobs of those caches that are there. One that steps of other builds change meanwhile is left out."""
    packed: dict[str, CacheBlob] = {}
    for cache in caches:
        id = f"{mount_name(cache, None)}-0"
        rows = context.state.query("SELECT used FROM cache_mounts WHERE id = ?", id)
        if not rows:
            continue
        part = f"packing cache mount {cache}"
        context.progress(part, 0, 0, False)
        async with mounts.acquire(cache, CacheSharing.SHARED) as folder:
            try:
                packed[cache] = await trio.to_thread.run_sync(_pack, folder, form, context, rows[0][0])
            except EngineError as error:
                part = f"{part}: {error.message}"
        context.progress(part, 0, 0, True)
    return packed


def _pack(folder: Path, form: LayerForm, context: ExportContext, used: float) -> CacheBlob:
    from engine.archive.layer_tar import write_layer

    with context.blobs.writer() as writer:
        packer = Packer(writer, form)
        write_layer(folder, context.snapshots.tree(Snapshot()), packer)
        packed = packer.finish()
    return CacheBlob(packed.blob, packed.diff_id, created=format_time(used))


async def fill_mount(blob: CacheBlob, folder: Path, context: ExportContext) -> bool:
    """Unpacks what a cache mount held elsewhere into an empty folder; whether that worked.

    What does not work leaves an empty folder: a cache mount is a help, never a need.
    """
    try:
        await bring(context, LayerBlob(blob.descriptor, blob.origin))
        await trio.to_thread.run_sync(_unpack, blob, folder, context)
    except EngineError as error:
        context.progress(f"filling a cache mount: {error.message}", 0, 0, True)
        return False
    return True


def _unpack(blob: CacheBlob, folder: Path, context: ExportContext) -> None:
    try:
        with context.blobs.open(blob.descriptor.digest) as stream:
            extract(decompressor(stream), folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        raise

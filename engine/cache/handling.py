"""Cache mounts handled from outside of a build: listed, filled and removed by the ID that steps give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.archive.errors import ArchiveError
from engine.cache.filters import RecordType
from engine.cache.mounts import CacheMounts, mount_name
from engine.cache.removal import Remover
from engine.cache.usage import Usage, read_usage
from engine.errors import StateError, disk_hint
from engine.results import LocalTree
from engine.snapshots.difference import write_tree
from engine.snapshots.store import SnapshotStore, disk_usage
from engine.snapshots.work import discard
from engine.sources.trees import tree_of
from engine.state import State
from engine.values import frozen


@frozen
class CacheMount:
    """One cache mount. `cache` is the ID that steps give it, `id` its own; size in bytes, times since the epoch."""

    id: str
    cache: str
    size: int
    created: float
    used: float
    uses: int
    in_use: bool
    record: Usage


def list_mounts(state: State) -> list[CacheMount]:
    """All cache mounts by ID. Raises StateError."""
    caches = dict(state.query("SELECT id, cache FROM cache_mounts"))
    found = [
        CacheMount(r.id, shown_id(caches[r.id]), r.size, r.created, r.used, r.uses, r.in_use, r)
        for r in read_usage(state)
        if r.type is RecordType.MOUNT and r.id in caches
    ]
    return sorted(found, key=lambda mount: (mount.cache, mount.id))


def shown_id(cache: str) -> str:
    """The ID as it stands in a Dockerfile: the frontend puts a namespace, mostly none, and a slash before it."""
    return cache.removeprefix("/")


def seed_mount(state: State, cache: str, source: Path, *, replace: bool = False) -> int:
    """Fills the cache of an ID from a folder (owned by root, as all that comes from outside) or a tar archive.

    Returns:
        The bytes it takes now.

    Raises:
        StateError: if there is such a cache already and it is not to be replaced, or a step has it.
        ArchiveError: if the source is neither a folder nor a tar archive that can be read.
    """
    snapshots = SnapshotStore(state)
    new = snapshots.work.make("seed")
    content = new / "fs"
    content.mkdir()
    content.chmod(0o755)
    try:
        _write(source, content, snapshots)
        size = disk_usage(new)
        CacheMounts(state, snapshots).put(mount_name(f"/{cache}", None), f"/{cache}", new, replace=replace)
        return size
    finally:
        discard(new)
        snapshots.close()


def remove_mounts(state: State, mounts: Sequence[CacheMount]) -> list[CacheMount]:
    """Those that could be removed, for no step had them. Raises StateError."""
    remover = Remover(state)
    try:
        gone = {record.id for record in remover.remove([mount.record for mount in mounts])}
    finally:
        remover.close()
    return [mount for mount in mounts if mount.id in gone]


def _write(source: Path, content: Path, snapshots: SnapshotStore) -> None:
    try:
        if source.is_dir():
            write_tree(tree_of(LocalTree(source), snapshots), content)
        else:
            _unpack(source, content)
    except ArchiveError as error:
        raise ArchiveError(f"cannot fill the cache from {source}: {error.message}", hint=error.hint) from error
    except OSError as error:
        problem = f"cannot fill the cache from {source}: {error.strerror or error}"
        raise StateError(problem, hint=disk_hint(error)) from error


def _unpack(source: Path, content: Path) -> None:
    from engine.archive.compression import decompressor
    from engine.archive.unpack import extract

    with source.open("rb") as stream:
        extract(decompressor(stream), content)

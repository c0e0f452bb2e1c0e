"""What lies in the state folder and what it takes: the records of `bakery du`, in BuildKit's terms (buildkit.md §8).

A layer is one record together with its compressed forms; blobs that belong to no layer are records of their own, and so
is each cache mount and each mirror of a git repository.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from itertools import pairwise
from pathlib import Path

from engine.cache.filters import Fields, RecordType
from engine.errors import StateError
from engine.leases import names_in_use
from engine.snapshots.store import disk_usage, written_below
from engine.state import State
from engine.values import frozen

_BY_CONTENT = re.compile(r"[0-9a-f]{64}")


@frozen
class Usage:
    """One thing on the disk. Sizes in bytes, times in seconds since the epoch."""

    id: str
    type: RecordType
    size: int
    created: float
    used: float
    uses: int
    description: str
    parents: tuple[str, ...] = ()
    mutable: bool = False
    in_use: bool = False
    shared: bool = False
    blobs: tuple[str, ...] = ()
    """Digests of the blobs that belong to it."""
    keys: tuple[str, ...] = field(default=(), repr=False)
    """The cache keys whose results need it."""

    def fields(self) -> Fields:
        """As filters see it."""
        return {
            "id": self.id,
            "parents": ";".join(self.parents),
            "description": self.description,
            "inuse": self.in_use,
            "mutable": self.mutable,
            "immutable": not self.mutable,
            "type": str(self.type),
            "shared": self.shared,
            "private": not self.shared,
        }


def read_usage(state: State, *, measure_after: float = 0.0) -> list[Usage]:
    """Everything that takes space, the smallest first, as the peer lists it.

    What steps may change (cache mounts) is measured if it was used since the last time, and that was more than
    `measure_after` seconds ago.

    Raises:
        StateError: if the database cannot be read.
    """
    used = names_in_use(state.locks)
    found = [*_layers(state, used), *_mounts(state, measure_after), *_mirrors(state, measure_after)]
    owned = {digest for record in found for digest in record.blobs}
    found += _blobs(state, used, owned)
    return sorted(found, key=lambda record: (record.size, record.id))


class _Results:
    """What the cache records say of layers: who lies on whom, and when which was used."""

    def __init__(self, state: State) -> None:
        self.parents: dict[str, set[str]] = defaultdict(set)
        self.keys: dict[str, list[str]] = defaultdict(list)
        self.names: dict[str, str] = {}
        self.used: dict[str, float] = {}
        self.uses: dict[str, int] = {}
        for key, result, name, used, uses in state.query("SELECT key, result, name, used, uses FROM records"):
            for layers in json.loads(result):
                if layers:
                    self._add(key, layers, name, used, uses)

    def _add(self, key: str, layers: list[str], name: str, used: float, uses: int) -> None:
        for lower, upper in pairwise(layers):
            self.parents[upper].add(lower)
        for layer in layers:
            self.keys[layer].append(key)
        top = layers[-1]
        self.names.setdefault(top, name)
        self.used[top] = max(used, self.used.get(top, 0.0))
        self.uses[top] = max(uses, self.uses.get(top, 0))


def _layers(state: State, in_use: frozenset[str]) -> Iterator[Usage]:
    results = _Results(state)
    forms: dict[str, dict[str, int]] = defaultdict(dict)
    taken: set[str] = set()
    for layer, digest, size in state.query(
        "SELECT f.layer, b.digest, b.size FROM layer_blobs f JOIN blobs b ON b.digest = f.digest"
    ):
        if digest not in taken:
            forms[layer][digest] = size
            taken.add(digest)
    rows = state.query("SELECT id, unpacked, size, created, used, uses, description, below FROM layers")
    for id_, unpacked, size, created, used, uses, description, below in rows:
        blobs = forms.get(id_, {})
        if not unpacked and not blobs:
            continue
        parents = results.parents.get(id_, set()) | _below(state.layers / id_, below)
        yield Usage(
            id=id_,
            type=RecordType.GIT if id_.startswith("git-") else RecordType.REGULAR,
            size=size + sum(blobs.values()),
            created=created,
            used=max(used, results.used.get(id_, 0.0)),
            uses=max(uses, results.uses.get(id_, 0)),
            description=results.names.get(id_) or description,
            parents=tuple(sorted(parents)),
            in_use=id_ in in_use or not in_use.isdisjoint(blobs),
            blobs=tuple(blobs),
            keys=tuple(results.keys.get(id_, ())),
        )


def _below(folder: Path, below: str | None) -> set[str]:
    """The layer that a layer's changes were measured against: its tar cannot be made without those below."""
    if below is None and not _BY_CONTENT.fullmatch(folder.name):  # that would have come with an image
        try:
            below = written_below(folder)
        except OSError:
            return set()
    return set(below.split()[-1:]) if below else set()


def _blobs(state: State, in_use: frozenset[str], owned: set[str]) -> Iterator[Usage]:
    urls = dict(state.query("SELECT digest, url FROM downloads"))
    images = dict(state.query("SELECT digest, reference FROM images UNION SELECT manifest, reference FROM images"))
    for digest, size, created, used in state.query("SELECT digest, size, created, used FROM blobs"):
        if digest in owned:
            continue
        url = urls.get(digest)
        what = (
            f"http url {url.split()[0]}" if url else f"manifest of {images[digest]}" if digest in images else "document"
        )
        kind = RecordType.REGULAR if url else RecordType.INTERNAL
        yield Usage(digest, kind, size, created, used, 1, what, in_use=digest in in_use, blobs=(digest,))


def _mounts(state: State, measure_after: float) -> Iterator[Usage]:
    measure = _Measure(state, measure_after)
    for id_, cache, created, used, uses in state.query("SELECT id, cache, created, used, uses FROM cache_mounts"):
        yield Usage(
            id=id_,
            type=RecordType.MOUNT,
            size=measure(id_, state.mounts / id_, used),
            created=created,
            used=used,
            uses=uses,
            description=f'cache mount "{cache}"',
            mutable=True,
            in_use=is_locked(state.locks / f"mount-{id_}"),
        )


def _mirrors(state: State, measure_after: float) -> Iterator[Usage]:
    measure = _Measure(state, measure_after)
    with suppress(FileNotFoundError):
        for entry in os.scandir(state.root / "git"):
            if not entry.is_dir(follow_symlinks=False):
                continue
            info, id_ = entry.stat(), f"git-{entry.name}"
            yield Usage(
                id=id_,
                type=RecordType.GIT,
                size=measure(id_, Path(entry.path), info.st_mtime),
                created=info.st_ctime,
                used=info.st_mtime,
                uses=1,
                description="mirror of a git repository",
                mutable=True,
                in_use=is_locked(state.locks / id_),
            )


class _Measure:
    """What folders take that steps may change."""

    def __init__(self, state: State, after: float) -> None:
        self._state = state
        self._after = after
        rows = state.query("SELECT id, size, measured FROM mount_sizes")
        self._known: dict[str, tuple[int, float]] = {row[0]: (row[1], row[2]) for row in rows}

    def __call__(self, id_: str, folder: Path, used: float) -> int:
        size, measured = self._known.get(id_, (0, 0.0))
        now = time.time()
        if measured > used or 0 <= now - measured < self._after:
            return size
        try:
            size = disk_usage(folder)
        except OSError:
            return size  # a step is changing it this moment
        with suppress(StateError):  # a full disk
            self._state.write(
                "INSERT OR REPLACE INTO mount_sizes (id, size, measured) VALUES (?, ?, ?)", id_, size, now
            )
        return size


def is_locked(path: Path) -> bool:
    """Whether somebody holds a lock file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False

"""What is wrong in a state folder, and how it is put right: what `bakery doctor` shows and `--fix` does.

Examining changes nothing. Mending only takes away: what was damaged is made or fetched again when somebody needs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from enum import Enum, IntEnum
from pathlib import Path

from engine.blobs import BlobStore
from engine.cache.layer_contents import LayerContents, look_at_layers
from engine.cache.removal import Remover
from engine.digests import Digest
from engine.disks import is_full
from engine.errors import SPACE_HINT, StateError
from engine.leases import collecting, names_in_use
from engine.reconcile import reconcile
from engine.snapshots.work import discard
from engine.state import DAMAGED, FORMATS, VERSION, State, is_damage
from engine.values import frozen

_BITE = 1 << 20
_BLOB_NAME = re.compile(r"[0-9a-f]{64}")


class Kind(Enum):
    """What a finding is about."""

    FORMAT = "format"
    DATABASE = "database"
    LAYERS = "layers"
    CONTENT = "layer contents"
    UNREAD = "layers read"  # nothing is wrong, as far as one can know
    BLOBS = "blobs"
    RECORDS = "records"
    MOUNTS = "cache mounts"
    LEFTOVERS = "leftovers"


@frozen
class Finding:
    """One thing that is wrong. `names` are the layers, blobs or files it is about."""

    kind: Kind
    text: str
    names: tuple[str, ...] = ()


class Depth(IntEnum):
    """How closely a state folder is looked at."""

    QUICK = 0  # what is there
    USUAL = 1  # … and whether every blob is what its name says, and every layer's files look as they did
    DEEP = 2  # … and whether every layer's files still hold what they held when it was packed or looked at so deep


def examine(root: Path, depth: Depth = Depth.USUAL) -> list[Finding]:
    """Everything that is wrong in a state folder; nothing if there is no such folder yet.

    Raises:
        StateError: if the folder cannot be read.
    """
    if not (root / "version").exists():
        return []
    version = (root / "version").read_text().strip()
    if version not in FORMATS:
        return [Finding(Kind.FORMAT, f"the folder has format {version or '(none)'}, not {VERSION}")]
    damage = _damage(root)
    if damage:
        return [Finding(Kind.DATABASE, damage)]
    state = State.open(root)
    try:
        deep = depth is Depth.DEEP
        contents = look_at_layers(state, deep) if depth > Depth.QUICK else None
        blobs = _blobs(state, depth > Depth.QUICK)
        return [
            *(_unread(contents) if contents and deep else ()),
            *_layers(state),
            *(_changed(contents.changed) if contents else ()),
            *blobs,
            *_records(state),
            *_mounts(state),
            *_leftovers(state),
        ]
    except OSError as error:
        raise StateError(f"cannot read the state folder {root}: {error.strerror}") from error
    finally:
        state.close()


def mend(root: Path, findings: list[Finding]) -> list[str]:
    """Puts right what was found; sentences that say what was done.

    Raises:
        StateError: if something is in use by others, or of another format.
    """
    if any(finding.kind is Kind.DATABASE for finding in findings):
        (root / DAMAGED).touch()
    state = State.open(root)
    try:
        done = list(state.found)
        blobs = BlobStore(state)
        for finding in findings:
            for name in finding.names:
                if finding.kind is Kind.BLOBS:
                    blobs.remove(Digest(name))
                elif finding.kind is Kind.LAYERS and not (state.layers / name / "fs").is_dir():
                    discard(state.layers / name)
                elif finding.kind is Kind.CONTENT:
                    _drop(state, name)
        with state.exclusive() as database:
            done += reconcile(root, database)
        remover = Remover(state)
        try:
            remover.tidy()
        finally:
            remover.close()
        return [*done, *(f"put right: {finding.text}" for finding in findings if finding.kind is not Kind.DATABASE)]
    finally:
        state.close()


def _drop(state: State, layer: str) -> None:
    with collecting(state.locks) as in_use:
        if layer in in_use:
            raise StateError(f"layer {layer} is in use", hint="wait for other builds to end, then run this again")
        discard(state.layers / layer)


def _unread(contents: LayerContents) -> Iterator[Finding]:
    if contents.new:
        first = "were read for the first time: what their files held before is not known"
        yield Finding(Kind.UNREAD, f"{contents.new} of {contents.every} {first}")


def _changed(layers: tuple[str, ...]) -> Iterator[Finding]:
    if layers:
        yield Finding(Kind.CONTENT, f"files of {len(layers)} layers are not as they were", layers)


def _damage(root: Path) -> str:
    """What is wrong with the database as such, if anything is. Raises StateError if it cannot be looked at."""
    path = root / "state.db"
    if (root / DAMAGED).exists():
        return "the database is damaged, as a build has noticed"
    if not path.exists():
        return "the database is gone" if any((root / "layers").iterdir()) else ""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            ((said,),) = database.execute("PRAGMA integrity_check(1)").fetchall()
            return "" if said == "ok" else f"the database is damaged: {said}"
    except sqlite3.Error as error:
        if is_damage(error):
            return f"the database is damaged: {error}"
        hint = SPACE_HINT if is_full(root) else "check that it may be read and written"
        raise StateError(f"cannot read the database of the state folder {root}: {error}", hint=hint) from error


def _layers(state: State) -> Iterator[Finding]:
    there = set(os.listdir(state.layers))
    rows = state.query("SELECT id FROM layers WHERE unpacked = 1")
    recorded = {str(row[0]) for row in rows}
    if lost := sorted(recorded - there):
        yield Finding(Kind.LAYERS, f"{len(lost)} layers are recorded, but not there", tuple(lost))
    if extra := sorted(there - recorded - names_in_use(state.locks)):
        yield Finding(Kind.LAYERS, f"{len(extra)} layers are there, but not recorded", tuple(extra))
    broken = sorted(layer for layer in recorded & there if not (state.layers / layer / "fs").is_dir())
    if broken:
        yield Finding(Kind.LAYERS, f"{len(broken)} layers have no content", tuple(broken))


def _blobs(state: State, contents: bool) -> Iterator[Finding]:
    sizes = {f"sha256:{e.name}": e.stat().st_size for e in os.scandir(state.blobs) if _BLOB_NAME.fullmatch(e.name)}
    recorded: dict[str, int] = dict(state.query("SELECT digest, size FROM blobs"))
    if lost := sorted(recorded.keys() - sizes.keys()):
        yield Finding(Kind.BLOBS, f"{len(lost)} blobs are recorded, but not there", tuple(lost))
    if extra := sorted(sizes.keys() - recorded.keys() - names_in_use(state.locks)):
        yield Finding(Kind.BLOBS, f"{len(extra)} blobs are there, but not recorded", tuple(extra))
    wrong = sorted(
        digest
        for digest, size in recorded.items()
        if digest in sizes and (sizes[digest] != size or (contents and not _is_sound(state, digest)))
    )
    if wrong:
        yield Finding(Kind.BLOBS, f"{len(wrong)} blobs are not what their names say", tuple(wrong))


def _is_sound(state: State, digest: str) -> bool:
    found = hashlib.sha256()
    try:
        with (state.blobs / digest.partition(":")[2]).open("rb") as file:
            while piece := file.read(_BITE):
                found.update(piece)
    except OSError:
        return False
    return f"sha256:{found.hexdigest()}" == digest


def _records(state: State) -> Iterator[Finding]:
    rows = state.query(
        "SELECT key FROM records WHERE NOT json_valid(result) OR EXISTS ("
        " SELECT 1 FROM json_each(result) snapshot, json_each(snapshot.value) layer"
        " WHERE snapshot.type = 'array' AND layer.value NOT IN (SELECT id FROM layers))"
    )
    if rows:
        yield Finding(Kind.RECORDS, f"{len(rows)} results name layers that are not known", tuple(r[0] for r in rows))


def _mounts(state: State) -> Iterator[Finding]:
    there = set(os.listdir(state.mounts))
    recorded = {str(row[0]) for row in state.query("SELECT id FROM cache_mounts")}
    if lost := sorted(recorded - there):
        yield Finding(Kind.MOUNTS, f"{len(lost)} cache mounts are recorded, but not there", tuple(lost))
    if extra := sorted(there - recorded):
        yield Finding(Kind.MOUNTS, f"{len(extra)} cache mounts are there, but not recorded", tuple(extra))


def _leftovers(state: State) -> Iterator[Finding]:
    from engine.cache.usage import is_locked

    dead: list[str] = []
    for entry in os.scandir(state.work):
        with suppress(OSError):
            lock = Path(entry.path) / "lock" if entry.is_dir(follow_symlinks=False) else Path(entry.path)
            if not is_locked(lock):
                dead.append(entry.name)
    if dead:
        yield Finding(Kind.LEFTOVERS, f"{len(dead)} processes have left unfinished work behind", tuple(sorted(dead)))

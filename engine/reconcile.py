"""Makes the records agree with the files: what is recorded but not there is forgotten, with all that needs it."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path


def reconcile(root: Path, database: sqlite3.Connection) -> list[str]:
    """Corrects the records of a state folder; sentences that say what was wrong. Raises sqlite3.Error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        found = [*_layers(root, database), *_blobs(root, database), *_records(database), *_mounts(root, database)]
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    return found


def _layers(root: Path, database: sqlite3.Connection) -> list[str]:
    there = set(os.listdir(root / "layers"))
    gone = [(row[0],) for row in database.execute("SELECT id FROM layers WHERE unpacked = 1") if row[0] not in there]
    forget_layers(database, [row[0] for row in gone])
    return [f"{len(gone)} layers were recorded but not there"] if gone else []


def forget_layers(database: sqlite3.Connection, layers: list[str]) -> None:
    """Notes that the files of layers are gone: those that can be fetched again are only marked so."""
    rows = [(layer,) for layer in layers]
    database.executemany("UPDATE layers SET unpacked = 0, size = 0 WHERE id = ?", rows)
    database.executemany(
        "DELETE FROM layers WHERE id = ? AND NOT EXISTS"
        " (SELECT 1 FROM layer_blobs b WHERE b.layer = layers.id AND b.options = ''"
        "  AND (b.origin <> '' OR EXISTS (SELECT 1 FROM blobs WHERE digest = b.digest)))",
        rows,
    )


def _blobs(root: Path, database: sqlite3.Connection) -> list[str]:
    sizes = {f"sha256:{entry.name}": entry.stat().st_size for entry in os.scandir(root / "blobs" / "sha256")}
    wrong = [
        (digest,)
        for digest, size in database.execute("SELECT digest, size FROM blobs").fetchall()
        if sizes.get(digest) != size
    ]
    database.executemany("DELETE FROM blobs WHERE digest = ?", wrong)
    return [f"{len(wrong)} blobs were recorded but not there, or not whole"] if wrong else []


def _records(database: sqlite3.Connection) -> list[str]:
    known = {row[0] for row in database.execute("SELECT id FROM layers")}
    dead = [
        (key,)
        for key, result in database.execute("SELECT key, result FROM records").fetchall()
        if not _is_complete(result, known)
    ]
    database.executemany("DELETE FROM records WHERE key = ?", dead)
    return [f"{len(dead)} results had lost layers and will be made again when needed"] if dead else []


def _is_complete(result: str, known: set[str]) -> bool:
    try:
        return all(layer in known for layers in json.loads(result) for layer in layers or ())
    except (ValueError, TypeError):
        return False


def _mounts(root: Path, database: sqlite3.Connection) -> list[str]:
    there = set(os.listdir(root / "mounts"))
    gone = [(row[0],) for row in database.execute("SELECT id FROM cache_mounts") if row[0] not in there]
    database.executemany("DELETE FROM cache_mounts WHERE id = ?", gone)
    return [f"{len(gone)} cache mounts were recorded but not there"] if gone else []

"""A new database with whatever can still be read of a damaged one, and with what lies in the folder anyway.

Run while nobody else uses the state folder. What is saved is reconciled with the files: no record names what is not
there. So the next build makes anew only what was on the pages that are lost.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.reconcile import reconcile
from engine.state import DAMAGED, prepare_database

_BLOB = re.compile(r"[0-9a-f]{64}")
_REFETCHABLE = re.compile(r"[0-9a-f]{64}|(?:git|http)-[0-9a-f]{48}")
"""Layers named by what they hold; others are named at random, and nothing finds them without a record."""


def salvage(root: Path) -> list[str]:
    """Replaces the database of a state folder; sentences that say what was found and done. May be killed at any time.

    Raises:
        sqlite3.Error, OSError: if the new one cannot be written.
    """
    (root / DAMAGED).touch()
    new_path = root / "state.db.new"
    _remove(new_path)
    new = sqlite3.connect(new_path, isolation_level=None)
    try:
        prepare_database(new)
        new.execute("BEGIN")
        kept, lost = _copy_all(root / "state.db", new)
        adopted = _adopt(root, new)
        new.execute("COMMIT")
        dropped = reconcile(root, new)
        new.execute("PRAGMA journal_mode = DELETE")  # all of it in one file, to be renamed
    finally:
        new.close()
    _remove(root / "state.db", keep_itself=True)
    os.replace(new_path, root / "state.db")
    (root / DAMAGED).unlink(missing_ok=True)
    found = [f"the database of {root} was damaged: {kept} rows were saved"]
    if lost:
        found.append(
            f"some rows were lost of: {', '.join(sorted(lost))}; what they stood for is made again when needed"
        )
    return [*found, *([f"{adopted} layers and blobs were found again by their names"] if adopted else []), *dropped]


def _remove(path: Path, *, keep_itself: bool = False) -> None:
    for suffix in ("-wal", "-shm", "-journal", *(() if keep_itself else ("",))):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")


def _copy_all(path: Path, new: sqlite3.Connection) -> tuple[int, set[str]]:
    """How many rows could be copied, and the tables that lost some."""
    kept, lost = 0, set[str]()
    if not path.exists():
        return 0, {"all tables"}
    old = sqlite3.connect(path, isolation_level=None)
    try:
        tables = dict(
            old.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        )
    except sqlite3.Error:
        old.close()
        return 0, {"all tables"}
    for name, sql in tables.items():
        if not new.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
            with suppress(sqlite3.Error):
                new.execute(sql)
        count, complete = _copy(old, new, name, sql)
        kept += count
        if not complete:
            lost.add(name)
    old.close()
    return kept, lost


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, sql: str) -> tuple[int, bool]:
    """Rows from the beginning up to the damage and, if there is any, from the end back to it.

    They are read as they lie, by what the `sql` that made the table says: where they have row ids, an index would have
    to be whole, too, for them to be read by their key.
    """
    try:
        columns = [(str(row[1]), int(row[5])) for row in new.execute(f'PRAGMA table_info("{table}")')]
        there = {str(row[1]) for row in old.execute(f'PRAGMA table_info("{table}")')}
    except sqlite3.Error:
        return 0, False
    names = [name for name, _ in columns if name in there]
    key = [f'"{name}"' for name, place in sorted(columns, key=lambda c: c[1]) if place and name in there]
    lie_by = key if "WITHOUT ROWID" in sql.upper() else ["rowid"]
    listed = ", ".join(f'"{name}"' for name in names)
    insert = f'INSERT OR IGNORE INTO "{table}" ({listed}) VALUES ({", ".join("?" * len(names))})'
    before = new.total_changes
    complete = False
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{name} {direction}" for name in lie_by)
        try:
            for row in _rows(old, f'SELECT {listed} FROM "{table}" ORDER BY {order}'):
                with suppress(sqlite3.IntegrityError):
                    new.execute(insert, row)
            complete = direction == "ASC"
            break
        except sqlite3.DatabaseError:
            continue
    return new.total_changes - before, complete


def _rows(old: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    cursor = old.execute(sql)
    while (row := cursor.fetchone()) is not None:
        yield row


def _adopt(root: Path, new: sqlite3.Connection) -> int:
    """Records blobs and layers that are there without a record: readers verify blobs, and these layers are named by
    what they hold. Other layers are rubbish without the records that named them."""
    now, before = time.time(), new.total_changes
    for entry in os.scandir(root / "blobs" / "sha256"):
        if _BLOB.fullmatch(entry.name):
            new.execute(
                "INSERT OR IGNORE INTO blobs (digest, size, created, used) VALUES (?, ?, ?, ?)",
                (f"sha256:{entry.name}", entry.stat().st_size, now, now),
            )
    known = {row[0] for row in new.execute("SELECT id FROM layers")}
    for entry in os.scandir(root / "layers"):
        if entry.name in known:
            continue
        if not _REFETCHABLE.fullmatch(entry.name):
            shutil.rmtree(entry.path, ignore_errors=True)
            continue
        new.execute(
            "INSERT OR IGNORE INTO layers (id, unpacked, size, created, used, description) VALUES (?, 1, 0, ?, ?, ?)",
            (entry.name, now, now, "found again"),
        )
    return new.total_changes - before

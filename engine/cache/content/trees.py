"""What was in folders when they had a certain checksum: so that a build can name the files that have changed.

A tree is kept by its folders, each under its digest, as entries `digest mode size name`; so what has not changed is
neither written nor read again. The checksum of a COPY is such a folder, too, whose names are the paths it takes.
"""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from engine.cache.content.selection import Walk
from engine.digests import Digest, hex_of
from engine.ops.contract import Selection
from engine.state import State
from engine.values import frozen

_SCHEMA = """CREATE TABLE IF NOT EXISTS trees (
    digest TEXT PRIMARY KEY,  -- the first part of a checksum
    entries BLOB NOT NULL,
    seen REAL NOT NULL
) WITHOUT ROWID"""
_LENGTH = 24
"""Hexadecimal digits of a digest that are kept: enough to tell names, not to decide a hit."""
_KEEP = 90 * 86400.0
_MOST = 20
"""Changes that are told one by one."""


@frozen
class _Line:
    digest: str
    mode: int
    size: int

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder whose digest says what is in it."""
        return self.mode & 0o170000 == 0o040000

    def __str__(self) -> str:
        kind = {0o100000: "file", 0o120000: "link", 0o040000: "folder"}.get(self.mode & 0o170000, "special")
        return f"{kind} {self.mode & 0o7777:04o}" + (f" {self.size} bytes" if kind == "file" else "")


@frozen
class TreeChanges:
    """Paths that are not as they were: each with what it was and what it is, None for what was or is not there.

    `more` is how many further ones there are at least.
    """

    paths: tuple[tuple[str, str | None, str | None], ...]
    more: int


class KnownTrees:
    """The trees that are remembered in a state folder. May be used from any thread."""

    def __init__(self, state: State, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        state.write(_SCHEMA)

    def remember(self, questions: Iterable[tuple[Walk, Sequence[Selection]]]) -> None:
        """Keeps what selections take from trees. Raises OSError, SourceError, StateError."""
        new: dict[str, dict[str, _Line]] = {}
        rest: list[tuple[str, Walk, str]] = []
        for walk, selections in questions:
            top, lines, below = _top(walk, selections)
            new[_short(top)] = lines
            rest += [(digest, walk, path) for digest, path in below]
        while rest:
            unknown = self._unknown({digest for digest, _, _ in rest} - new.keys())
            following: list[tuple[str, Walk, str]] = []
            for digest, walk, path in rest:
                if digest in unknown:
                    unknown.discard(digest)
                    new[digest], inner = _folder(walk, path)
                    following += [(each, walk, place) for each, place in inner]
            rest = following
        now = self._clock()
        self._state.write("DELETE FROM trees WHERE seen < ?", now - _KEEP)
        self._state.write_many(
            "INSERT OR REPLACE INTO trees (digest, entries, seen) VALUES (?, ?, ?)",
            [(digest, _text(lines), now) for digest, lines in new.items()],
        )

    def compare(self, walk: Walk, selections: Sequence[Selection], before: Digest) -> TreeChanges | None:
        """How what selections take now differs from what had the checksum `before`; None if that is not remembered."""
        former = self._read(_short(before))
        if former is None:
            return None
        _, now, _ = _top(walk, selections)
        where = {path: real for selection in selections for path, real, _, _ in walk.taken(selection)}
        found: list[tuple[str, str | None, str | None]] = []
        more = 0
        for change in self._changes(walk, former, now, where):
            if len(found) < _MOST:
                found.append(change)
            else:
                more += 1
        return TreeChanges(tuple(found), more)

    def _changes(
        self, walk: Walk, before: dict[str, _Line], now: dict[str, _Line], where: dict[str, str]
    ) -> Iterator[tuple[str, str | None, str | None]]:
        """`where` tells at which path of the tree a name lies now."""
        stack = [(before, now, "", where)]
        while stack:
            old, new, prefix, places = stack.pop()
            for name in dict.fromkeys((*old, *new)):
                one, two = old.get(name), new.get(name)
                path = (prefix + name).lstrip("/") or "."
                if one is None or two is None or not (one.is_dir and two.is_dir):
                    if one != two:
                        yield path, str(one) if one else None, str(two) if two else None
                    continue
                if one == two:
                    continue
                former = self._read(one.digest)
                if former is None:
                    yield path, str(one), str(two)
                    continue
                if one.mode != two.mode:
                    yield path, str(one), str(two)
                real = places.get(name) or posixpath.join(places[""], name)
                inner, _ = _folder(walk, real)
                stack.append((former, inner, f"{prefix}{name}/", {"": real}))

    def _unknown(self, digests: set[str]) -> set[str]:
        out, wanted = set(digests), list(digests)
        for at in range(0, len(wanted), 500):
            part = wanted[at : at + 500]
            marks = ",".join("?" * len(part))
            out -= {row[0] for row in self._state.query(f"SELECT digest FROM trees WHERE digest IN ({marks})", *part)}
        return out

    def _read(self, digest: str) -> dict[str, _Line] | None:
        rows = self._state.query("SELECT entries FROM trees WHERE digest = ?", digest)
        return _parse(rows[0][0]) if rows else None


def _top(walk: Walk, selections: Sequence[Selection]) -> tuple[Digest, dict[str, _Line], list[tuple[str, str]]]:
    """The checksum, the entries that are taken, and the folders among them: digest and path."""
    checksum = walk.checksum(selections)
    lines: dict[str, _Line] = {}
    below: list[tuple[str, str]] = []
    for selection in selections:
        whole = not (selection.wildcard or selection.include or selection.exclude)
        for path, real, entry, digest in walk.taken(selection):
            listed = not whole and entry.is_dir and walk.folders.get(real) != digest
            line = _Line(_short(digest), entry.mode & 0o7777 if listed else entry.mode, entry.size)
            lines[path] = line
            if line.is_dir:
                below.append((line.digest, real))
    return checksum, lines, below


def _folder(walk: Walk, path: str) -> tuple[dict[str, _Line], list[tuple[str, str]]]:
    """A folder's entries, and the folders among them: digest and path."""
    lines: dict[str, _Line] = {}
    below: list[tuple[str, str]] = []
    for name, child, entry in walk.children(path):
        digest = _short(walk.folders[child] if entry.is_dir else walk.digests.of(child, entry))
        lines[name] = _Line(digest, entry.mode, entry.size)
        if entry.is_dir:
            below.append((digest, child))
    return lines, below


def _short(digest: str) -> str:
    return hex_of(Digest(digest))[:_LENGTH]


def _text(lines: dict[str, _Line]) -> bytes:
    # A name may hold anything but NUL, bytes that are no UTF-8 as well.
    entries = (f"{line.digest} {line.mode:o} {line.size} {name}" for name, line in lines.items())
    return os.fsencode("\0".join(entries))


def _parse(text: bytes) -> dict[str, _Line]:
    out = {}
    for entry in os.fsdecode(text).split("\0") if text else ():
        digest, mode, size, name = entry.split(" ", 3)
        out[name] = _Line(digest, int(mode, 8), int(size))
    return out

"""The checksum of what selections take from a tree.

A path gives the digest of its entry, for a folder of all in it: sha256 over `NUL` + its own header digest, then `NUL` +
name + digest of each child, by the bytes of the names. With a wildcard or filters the entries that are taken are
listed one by one, folders by their headers, each as its path below the pattern's literal part (`/` written as NUL)
and its digest. The checksum of several selections is the sha256 of theirs with NUL between them.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Protocol

from engine.cache.content.errors import missing
from engine.cache.content.header import EMPTY, entry_digest
from engine.digests import Digest, sha256
from engine.errors import SourceError
from engine.ops.contract import Selection
from engine.patterns import TOP, Match, PatternError, PatternMatcher, glob, has_wildcard
from engine.sources.local import LocalView
from engine.tree import Entry, Tree, resolve
from engine.values import record


class EntryDigests(Protocol):
    """Where the digests of single entries come from."""

    def prepare(self, path: str) -> None:
        """Says that a path and all below it will be asked for."""
        ...

    def of(self, path: str, entry: Entry) -> str:
        """The digest of an entry (of a folder without what is in it). Raises OSError."""
        ...


class ReadDigests:
    """Digests made by reading."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def prepare(self, path: str) -> None:
        """Nothing to prepare."""

    def of(self, path: str, entry: Entry) -> str:
        """Reads the entry."""
        return entry_digest(self._tree, path, entry)


class KeptDigests(ReadDigests):
    """Digests made by reading, each once."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self._kept: dict[str, str] = {}

    def of(self, path: str, entry: Entry) -> str:
        """Reads the entry, unless it was read before."""
        known = self._kept.get(path)
        if known is None:
            known = self._kept[path] = super().of(path, entry)
        return known


def checksum(tree: Tree, selections: Sequence[Selection], digests: EntryDigests | None = None) -> Digest:
    """The checksum of what some selections take from a tree.

    Raises:
        MissingError: if a path, a required path or what a symbolic link leads to is not there.
        SourceError: if something cannot be read, or a pattern is malformed.
    """
    return Walk(tree, digests or ReadDigests(tree)).checksum(selections)


@record
class Taken:
    """An entry on the way of a walk with filters. `path` is as the selection would write it."""

    path: str
    real: str
    entry: Entry
    top: bool
    include: Match = TOP
    exclude: Match = TOP
    listed: bool = False


@record
class Walk:
    """Reads a tree for its checksums; what it has found of a folder it keeps. `folders` are the digests of folders
    with all that is in them, by path."""

    tree: Tree
    digests: EntryDigests
    folders: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[Selection, ...], Digest] = field(default_factory=dict)

    def checksum(self, selections: Sequence[Selection]) -> Digest:
        """The checksum of several selections, of all if there are none. Raises as the function `checksum`."""
        asked = tuple(selections)
        known = self._known.get(asked)
        if known is None:
            known = self._known[asked] = self._checksum(asked)
        return known

    def _checksum(self, selections: Sequence[Selection]) -> Digest:
        parts = []
        for selection in selections or (Selection("/"),):
            try:
                parts.append(self.select(selection))
            except PatternError as error:
                raise SourceError(str(error)) from error
            except OSError as error:
                name = error.filename or selection.path
                raise SourceError(f"cannot read {name}: {error.strerror or error}") from error
        return sha256("\0".join(parts).encode())

    def select(self, selection: Selection) -> str:
        """The digest of one selection. Raises OSError, PatternError, SourceError."""
        path, prefix = _split(selection)
        if prefix is None:
            return self._whole(path, selection.follow_links)
        taken = list(self._filtered(selection, path, prefix))
        for required in selection.required:
            if not any(item.path.startswith(required) for item in taken):
                raise missing(self.tree, required)
        if not taken:
            return EMPTY
        found = [self._digest(item, selection.follow_links) for item in taken]
        if len(taken) == 1 and posixpath.basename(taken[0].path) == posixpath.basename(path):
            return found[0]
        digest = hashlib.sha256()
        for item, each in zip(taken, found, strict=True):
            below = item.path.removeprefix(prefix)
            digest.update(os.fsencode(below).replace(b"/", b"\0") or b"\0")
            digest.update(each.encode())
        return "sha256:" + digest.hexdigest()

    def taken(self, selection: Selection) -> list[tuple[str, str, Entry, str]]:
        """What a selection takes: the path as it would write it, where that is, the entry, and its digest.

        Without wildcard and filters that is one entry, a folder's digest being that of all in it; else every entry on
        its own. Raises as `select`.
        """
        path, prefix = _split(selection)
        if prefix is not None:
            items = self._filtered(selection, path, prefix)
            return [(i.path, i.real, i.entry, self._digest(i, selection.follow_links)) for i in items]
        real = resolve(self.tree, path, follow_last=selection.follow_links)
        entry = self.tree.lstat(real)
        return [] if entry is None else [(path, real, entry, self._all_of(real, entry))]

    def _digest(self, item: Taken, follow_links: bool) -> str:
        if item.top and follow_links and item.entry.is_link:
            return self._whole(item.path, follow_links=True)
        return self.digests.of(item.real, item.entry)

    def _whole(self, path: str, follow_links: bool) -> str:
        real = resolve(self.tree, path, follow_last=follow_links)
        entry = self.tree.lstat(real)
        if entry is None:
            raise missing(self.tree, path)
        return self._all_of(real, entry)

    def _all_of(self, real: str, entry: Entry) -> str:
        self.digests.prepare(real)
        return self._folder(real) if entry.is_dir else self.digests.of(real, entry)

    def _folder(self, top: str) -> str:
        """The digest of a folder and all below it, without recursion: paths may be deep."""
        order: list[tuple[str, Entry, list[tuple[str, str, Entry]]]] = []
        rest = [(top, self.tree.lstat(top))]
        while rest:
            path, entry = rest.pop()
            assert entry is not None
            if path in self.folders:
                continue
            children = self.children(path)
            order.append((path, entry, children))
            rest += [(child, each) for _, child, each in children if each.is_dir]
        for path, entry, children in reversed(order):
            parts = [b"\0", self.digests.of(path, entry).encode()]
            for name, child, each in children:
                found = self.folders[child] if each.is_dir else self.digests.of(child, each)
                parts += [b"\0", os.fsencode(name), found.encode()]
            self.folders[path] = "sha256:" + hashlib.sha256(b"".join(parts)).hexdigest()
        return self.folders[top]

    def children(self, path: str) -> list[tuple[str, str, Entry]]:
        """Name, path and entry of each thing in a folder, in the order of the names' bytes. Raises OSError."""
        folder = path if path != "/" else ""
        if isinstance(self.tree, LocalView):
            return [(name, f"{folder}/{name}", entry) for name, entry in self.tree.entries(path)]
        out = []
        for name in self.tree.names(path):
            child = f"{folder}/{name}"
            entry = self.tree.lstat(child)
            if entry is not None:
                out.append((name, child, entry))
        return out

    def _filtered(self, selection: Selection, path: str, prefix: str) -> Iterator[Taken]:
        """The entries that count, in the order in which they are hashed."""
        include, exclude = PatternMatcher(selection.include), PatternMatcher(selection.exclude)
        tops = self._tops(path, prefix, selection.wildcard)
        for top in tops:
            self.digests.prepare(top.real)
        if path == "/":
            # Its name ends in a slash, so its own header does not count: what is in it are the tops.
            tops = [Taken(f"/{name}", real, entry, True) for name, real, entry in self.children("/")]
        for top in tops:
            base = "" if path == "/" else top.path
            parents: list[Taken] = []
            rest = [top]
            while rest:
                item = rest.pop()
                while parents and not item.path.startswith(parents[-1].path + "/"):
                    parents.pop()
                if _takes(item, base, parents, include, exclude):
                    for parent in parents:
                        if not parent.listed:
                            parent.listed = True
                            yield parent
                    item.listed = True
                    yield item
                if item.entry.is_dir:
                    parents.append(item)
                    children = self.children(item.real)
                    rest += [Taken(f"{item.path}/{n}", real, entry, False) for n, real, entry in reversed(children)]

    def _tops(self, path: str, prefix: str, wildcard: bool) -> Iterable[Taken]:
        """What the selection's path names: one entry, or those that its pattern matches."""
        real = resolve(self.tree, prefix or "/", follow_last=wildcard)
        entry = self.tree.lstat(real)
        if entry is None:
            return []
        found = [Taken(prefix, real, entry, True)]
        for part in path.removeprefix(prefix).strip("/").split("/") if wildcard else []:
            matching = glob(part)
            found = [
                Taken(f"{item.path}/{name}", child, each, True)
                for item in found
                if item.entry.is_dir
                for name, child, each in self.children(item.real)
                if matching.fullmatch(name)
            ]
        return found


def _takes(item: Taken, base: str, parents: list[Taken], include: PatternMatcher, exclude: PatternMatcher) -> bool:
    """Whether the filters let an entry through; notes what they said, for those below."""
    path = item.path[len(base) + 1 :]
    parent = parents[-1] if parents else None
    if include:
        item.include = include.match(path, parent.include if parent else TOP)
        if not item.include.matched:
            return False
    if exclude:
        item.exclude = exclude.match(path, parent.exclude if parent else TOP)
        if item.exclude.matched:
            return False
    return True


def _split(selection: Selection) -> tuple[str, str | None]:
    """The cleaned path, and the part of it before any wildcard if entries are to be listed one by one."""
    path = posixpath.normpath("/" + selection.path.lstrip("/"))
    if not (selection.wildcard or selection.include or selection.exclude):
        return path, None
    prefix = _literal_part(path) if selection.wildcard else path
    return path, "" if prefix == "/" else prefix


def _literal_part(path: str) -> str:
    """The folders of a pattern before its first wildcard."""
    parts = path.split("/")
    for i, part in enumerate(parts):
        if has_wildcard(part):
            return "/".join(parts[:i])
    return path

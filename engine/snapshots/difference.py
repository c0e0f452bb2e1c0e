"""Writing trees down: what turns one tree into another as a layer, and one tree as a plain folder."""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
from pathlib import Path

from engine.snapshots.overlay_format import OverlayFormat
from engine.tree import Entry, Tree

_CHUNK = 1 << 20


def write_difference(lower: Tree, upper: Tree, into: Path, form: OverlayFormat) -> None:
    """Fills an empty folder with the layer that makes `upper` out of `lower`."""
    top = upper.lstat("/")
    if top is not None:
        _Writer(upper, into).copy_metadata("/", top)
    _Difference(lower, upper, into, form).folder("/", opaque=False)


def write_tree(tree: Tree, into: Path, top: str = "/") -> None:
    """Fills an empty folder with a folder of a tree: its files, owners, times, attributes, hard links."""
    writer = _Writer(tree, into, top)
    writer.children(top)
    entry = tree.lstat(top)
    if entry is not None:
        writer.copy_metadata(top, entry)


def write_file(tree: Tree, path: str, into: Path) -> None:
    """Copies one entry of a tree that is no folder to the new path `into`."""
    entry = tree.lstat(path)
    if entry is None:
        raise FileNotFoundError(2, "no such file or directory", path)
    _Writer(tree, into, path).one(path, entry)


class _Writer:
    """Copies entries of a tree to the same paths below a folder that only this process writes to."""

    def __init__(self, tree: Tree, into: Path, top: str = "/") -> None:
        self._tree = tree
        self._into = str(into)
        self._skip = len(top.rstrip("/"))
        self._links: dict[tuple[int, int], str] = {}

    def place(self, path: str) -> str:
        return self._into + path[self._skip :]

    def all(self, path: str, entry: Entry) -> None:
        """An entry and everything below it."""
        self.one(path, entry)
        if entry.is_dir:
            self.children(path)
            self.copy_metadata(path, entry)

    def children(self, path: str) -> None:
        for name in self._tree.names(path):
            child = posixpath.join(path, name)
            entry = self._tree.lstat(child)
            if entry is not None:
                self.all(child, entry)

    def one(self, path: str, entry: Entry) -> None:
        """An entry without what is below it."""
        target = self.place(path)
        if entry.is_dir:
            os.mkdir(target)
        elif entry.links > 1 and (first := self._links.get(entry.identity)):
            os.link(first, target, follow_symlinks=False)
            return
        elif entry.is_link:
            os.symlink(self._tree.readlink(path), target)
        elif entry.is_file:
            with self._tree.open(path) as source, open(target, "xb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
        else:
            os.mknod(target, entry.mode, entry.rdev)
        if entry.links > 1 and not entry.is_dir:
            self._links[entry.identity] = target
        self.copy_metadata(path, entry)

    def copy_metadata(self, path: str, entry: Entry) -> None:
        target = self.place(path)
        os.chown(target, entry.uid, entry.gid, follow_symlinks=False)
        if not entry.is_link:
            os.chmod(target, stat.S_IMODE(entry.mode))
        for name, value in self._tree.xattrs(path).items():
            os.setxattr(target, name, value, follow_symlinks=False)
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


class _Difference:
    """The walk over two trees at once."""

    def __init__(self, lower: Tree, upper: Tree, into: Path, form: OverlayFormat) -> None:
        self._lower = lower
        self._upper = upper
        self._writer = _Writer(upper, into)
        self._form = form

    def folder(self, path: str, opaque: bool) -> bool:
        """Writes what differs inside a folder that both have; whether anything did."""
        below = {} if opaque else _entries(self._lower, path)
        above = _entries(self._upper, path)
        changed = False
        for name in sorted({*below, *above}):
            changed |= self._entry(posixpath.join(path, name), below.get(name), above.get(name))
        if changed:
            entry = self._upper.lstat(path)
            assert entry is not None
            self._writer.copy_metadata(path, entry)
        return changed

    def _entry(self, path: str, old: Entry | None, new: Entry | None) -> bool:
        if new is None:
            self._parents(path)
            self._form.make_whiteout(self._writer.place(path))
            return True
        if old is not None and old.is_dir and new.is_dir:
            if not _same_metadata(self._lower, self._upper, path, old, new):
                self._parents(path)
                self._writer.one(path, new)
                self.folder(path, opaque=False)
                return True
            return self.folder(path, opaque=False)
        if old is not None and self._same(path, old, new):
            return False
        self._parents(path)
        self._writer.all(path, new)
        return True

    def _parents(self, path: str) -> None:
        """Makes the folders that lead to a path, as they are in `upper`, where they are not written yet."""
        parent = posixpath.dirname(path)
        if parent == "/" or os.path.lexists(self._writer.place(parent)):
            return
        self._parents(parent)
        entry = self._upper.lstat(parent)
        assert entry is not None
        self._writer.one(parent, entry)

    def _same(self, path: str, old: Entry, new: Entry) -> bool:
        if stat.S_IFMT(old.mode) != stat.S_IFMT(new.mode):
            return False
        if old.identity == new.identity and old.version == new.version:
            return True
        if not _same_metadata(self._lower, self._upper, path, old, new):
            return False
        if old.is_link:
            return self._lower.readlink(path) == self._upper.readlink(path)
        if not old.is_file:
            return old.rdev == new.rdev
        return old.size == new.size and old.mtime_ns == new.mtime_ns and self._same_content(path)

    def _same_content(self, path: str) -> bool:
        with self._lower.open(path) as one, self._upper.open(path) as other:
            while True:
                data = one.read(_CHUNK)
                if data != other.read(_CHUNK):
                    return False
                if not data:
                    return True


def _entries(tree: Tree, path: str) -> dict[str, Entry]:
    found = ((name, tree.lstat(posixpath.join(path, name))) for name in tree.names(path))
    return {name: entry for name, entry in found if entry is not None}


def _same_metadata(lower: Tree, upper: Tree, path: str, old: Entry, new: Entry) -> bool:
    if (old.mode, old.uid, old.gid) != (new.mode, new.uid, new.gid):
        return False
    return lower.xattrs(path) == upper.xattrs(path)

"""Reading the layers of a snapshot as one tree, without mounting them.

Why this never leaves a layer: a folder is only looked into where every folder above it was seen, in that same layer, to
be a folder and no symbolic link; and a finished layer never changes. The last component is never followed.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from engine.snapshots.overlay_format import OverlayFormat
from engine.tree import Entry

Level = tuple[str, bytes]
"""One layer's part of a merged folder: its path on this machine, and its opacity."""


class LayeredTree:
    """A `Tree` over folders in overlay form, the lowest first. Remembers which layers make up a folder."""

    def __init__(self, layers: Sequence[Path | str], form: OverlayFormat) -> None:
        self._form = form
        tops = [(str(layer), form.opacity(layer)) for layer in reversed(layers)]
        self._folders: dict[str, tuple[Level, ...]] = {"/": tuple(tops)}
        self._empty = not tops

    def lstat(self, path: str) -> Entry | None:
        """The entry at a path, links not followed; None if there is none."""
        if path == "/" and self._empty:
            return Entry(mode=stat.S_IFDIR | 0o755, uid=0, gid=0, size=0, mtime_ns=0)
        found = self._find(path)
        return None if found is None else _entry(found[1])

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted by their bytes."""
        levels = self._levels(path)
        if not levels and not (path == "/" and self._empty):
            raise self._not_a_folder(path)
        seen: dict[str, bool] = {}
        for folder, opacity in levels:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name not in seen:
                        seen[entry.name] = not self._hides(entry, opacity)
        return sorted((name for name, shown in seen.items() if shown), key=os.fsencode)

    def readlink(self, path: str) -> str:
        """The target of a symbolic link, as written."""
        return os.readlink(self.real_path(path))

    def open(self, path: str) -> BinaryIO:
        """A regular file's content."""
        # O_NONBLOCK: to open a fifo must not wait for a writer.
        fd = os.open(self.real_path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(22, "not a regular file", path)
        return os.fdopen(fd, "rb")

    def xattrs(self, path: str) -> Mapping[str, bytes]:
        """Extended attributes, without those of the overlay file system's own bookkeeping."""
        if path == "/" and self._empty:
            return {}
        real = self.real_path(path)
        names = [name for name in os.listxattr(real, follow_symlinks=False) if not self._form.is_mark(name)]
        return {name: os.getxattr(real, name, follow_symlinks=False) for name in names}

    def real_path(self, path: str) -> str:
        """Where the entry that is seen at a path lies on this machine. Raises FileNotFoundError."""
        found = self._find(path)
        if found is None:
            raise FileNotFoundError(2, "no such file or directory", path)
        return found[0]

    def _find(self, path: str) -> tuple[str, os.stat_result] | None:
        """The place and the stat of the topmost entry of that name."""
        if path == "/":
            levels = self._folders["/"]
            return (levels[0][0], os.lstat(levels[0][0])) if levels else None
        name = posixpath.basename(path)
        for folder, opacity in self._levels(posixpath.dirname(path)):
            real = f"{folder}/{name}"
            try:
                info = os.lstat(real)
            except FileNotFoundError:
                continue
            return None if self._form.is_whiteout(real, info, opacity) else (real, info)
        return None

    def _levels(self, path: str) -> tuple[Level, ...]:
        """The layers' parts of a folder, the topmost first; none if there is no folder at that path."""
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = self._merge(path)
        return known

    def _merge(self, path: str) -> tuple[Level, ...]:
        name = posixpath.basename(path)
        levels: list[Level] = []
        for folder, _ in self._levels(posixpath.dirname(path)):
            real = f"{folder}/{name}"
            try:
                info = os.lstat(real)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(info.st_mode):
                break  # a whiteout or another kind of entry: nothing below it is seen
            own = self._form.opacity(real)
            levels.append((real, own))
            if own == b"y":
                break
        return tuple(levels)

    def _hides(self, entry: os.DirEntry[str], opacity: bytes) -> bool:
        if entry.is_dir(follow_symlinks=False) or entry.is_symlink():
            return False
        if opacity != b"x" and entry.is_file(follow_symlinks=False):
            return False
        return self._form.is_whiteout(entry.path, entry.stat(follow_symlinks=False), opacity)

    def _not_a_folder(self, path: str) -> OSError:
        if self._find(path) is None:
            return FileNotFoundError(2, "no such file or directory", path)
        return NotADirectoryError(20, "not a directory", path)


def _entry(info: os.stat_result) -> Entry:
    return Entry(
        mode=info.st_mode,
        uid=info.st_uid,
        gid=info.st_gid,
        size=info.st_size if stat.S_ISREG(info.st_mode) else 0,
        mtime_ns=info.st_mtime_ns,
        rdev=info.st_rdev,
        links=info.st_nlink,
        identity=(info.st_dev, info.st_ino),
        version=(info.st_ino, info.st_ctime_ns),
    )

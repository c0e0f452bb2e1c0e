"""A folder of this machine as one build sees it: every entry is looked at once and must not change afterwards.

The checksum of a COPY and the copy itself read through the same `Folder`. So what a cache key was made of is what is
copied, or the build says that a file changed meanwhile: there is no third way.

Nothing is followed out of the folder: every path is opened from its descriptor without following any symbolic link.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from engine.errors import SourceError
from engine.sources.beneath import open_beneath
from engine.tree import Entry

T = TypeVar("T")

_SETTLE_NS, _SETTLE_COARSE_NS = 20_000_000, 2_100_000_000
# O_NONBLOCK: a fifo that took a file's place must not hang the build.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class ChangedError(SourceError):
    """A file that changed while the build was reading it."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} changed while the build was reading it",
            hint="build again when nothing writes to the folder, or exclude the file with .dockerignore",
        )


class Folder:
    """Paths are relative to the folder, without leading slash; `""` is the folder itself. May be used from any thread.

    Owners are 0:0, and the top has mode 0755, as BuildKit transfers folders.
    """

    def __init__(self, path: Path) -> None:
        """Raises SourceError if there is no such folder, or it may not be read."""
        self.path = path
        try:
            self._shared = _root_of(path)
        except OSError as error:
            raise SourceError(f"cannot read the folder {path}: {error.strerror}") from error
        self._root = self._shared.fd
        self._single: dict[str, Entry | None] = {"": _top(os.fstat(self._root))}
        self._listed: dict[str, dict[str, Entry]] = {}
        self._near = threading.local()
        self._worked_out: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What somebody works out about the folder, kept as long as this object."""
        if key not in self._worked_out:
            self._worked_out.setdefault(key, make())
        return cast(T, self._worked_out[key])

    def lstat(self, path: str) -> Entry | None:
        """The entry at a path; None if there is none, or it lies behind a symbolic link."""
        parent, _, name = path.rpartition("/")
        listed = self._listed.get(parent)
        if listed is not None and name:
            return listed.get(name)
        if path not in self._single:
            self._single.setdefault(path, self._look(parent, name))
        return self._single[path]

    def entries(self, path: str) -> Mapping[str, Entry]:
        """What a folder holds, by name, in the order of the names' bytes. Raises OSError."""
        listed = self._listed.get(path)
        if listed is None:
            found = self._scan(path)
            known = {name: self._single.get(f"{path}/{name}" if path else name) for name in found}
            # What was looked at before stays as it was: a change since then must not go unnoticed.
            names = sorted(found) if all(map(str.isascii, found)) else sorted(found, key=os.fsencode)
            listed = self._listed.setdefault(path, {name: known[name] or found[name] for name in names})
        return listed

    def readlink(self, path: str) -> str:
        """The target of a symbolic link. Raises OSError."""
        parent, _, name = path.rpartition("/")
        return os.readlink(name, dir_fd=self._parent(parent))

    def open(self, path: str) -> BinaryIO:
        """A regular file, unbuffered. Closing it checks that it is still the one that `lstat` told of.

        Raises:
            ChangedError: if it is another now, also when it is closed.
            OSError: if it cannot be read.
        """
        entry = self.lstat(path)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        parent, _, name = path.rpartition("/")
        try:
            fd = os.open(name, _READ, dir_fd=self._parent(parent))
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise ChangedError(path) from error
            raise
        return cast(BinaryIO, _WatchedFile(fd, path, entry))

    def xattrs(self, path: str) -> Mapping[str, bytes]:
        """Extended attributes. Raises OSError."""
        parent, _, name = path.rpartition("/")
        # There is no call that takes a folder's descriptor and a name.
        return _xattrs(f"/proc/self/fd/{self._parent(parent)}/{name}")

    def settle(self, entry: Entry) -> bool:
        """Waits until a later change of an entry is sure to show in its `version`.

        The clock of change times ticks only every few milliseconds (every second or two on some file systems), so a
        file that was written just now could be written again without its times telling.

        Returns:
            False if that cannot be known, for the change time lies in the future.
        """
        changed = entry.version[2]
        settle = _SETTLE_NS if changed % 1_000_000_000 else _SETTLE_COARSE_NS
        left = changed + settle - time.time_ns()
        if left > settle:
            return False
        if left > 0:
            time.sleep(left / 1e9)
        return True

    def _look(self, parent: str, name: str) -> Entry | None:
        try:
            return _entry(os.lstat(name, dir_fd=self._parent(parent)))
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def _scan(self, path: str) -> dict[str, Entry]:
        out = {}
        with os.scandir(self._parent(path)) as entries:
            for entry in entries:
                try:
                    out[entry.name] = _entry(entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue
        return out

    def _parent(self, path: str) -> int:
        """A folder's descriptor, to be used at once: each thread keeps the last one, for work goes by folders."""
        near: tuple[str, _OpenFolder] | None = getattr(self._near, "last", None)
        if near is None or near[0] != path:
            fd = open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
            near = self._near.last = (path, _OpenFolder(fd))
        return near[1].fd


class _OpenFolder:
    """A folder's descriptor, closed when nobody refers to it any more."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        weakref.finalize(self, os.close, fd)


_roots: weakref.WeakValueDictionary[tuple[int, int], _OpenFolder] = weakref.WeakValueDictionary()


def _root_of(path: Path) -> _OpenFolder:
    """The open folder, shared by all who read it: builds of many targets would run out of descriptors."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    info = os.fstat(fd)
    known = _roots.get((info.st_dev, info.st_ino))
    if known is not None:
        os.close(fd)
        return known
    root = _roots[info.st_dev, info.st_ino] = _OpenFolder(fd)
    return root


class _WatchedFile(io.FileIO):
    """A file that tells, when opened and when closed, if it is not the one that was looked at."""

    def __init__(self, fd: int, path: str, entry: Entry) -> None:
        super().__init__(fd, "rb")
        self._path = path
        self._entry = entry
        try:
            self._check()
        except SourceError:
            super().close()
            raise

    def close(self) -> None:
        if not self.closed:
            try:
                self._check()
            finally:
                super().close()

    def _check(self) -> None:
        if _version(os.fstat(self.fileno())) != self._entry.version:
            raise ChangedError(self._path)


def _version(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_dev, info.st_ino, info.st_ctime_ns, info.st_mtime_ns, info.st_size, info.st_mode)


def _entry(info: os.stat_result) -> Entry:
    return Entry(
        info.st_mode,
        0,
        0,
        info.st_size if stat.S_ISREG(info.st_mode) else 0,
        info.st_mtime_ns,
        info.st_rdev,
        info.st_nlink,
        (info.st_dev, info.st_ino),
        _version(info),
    )


def _top(info: os.stat_result) -> Entry:
    return replace(_entry(info), mode=stat.S_IFDIR | 0o755)


def _xattrs(path: str) -> dict[str, bytes]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return {}
        raise
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}

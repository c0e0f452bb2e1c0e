"""Layer folder → layer tar, member for member and byte for byte as BuildKit's overlay differ writes it.

The folder is walked in the order of names; folders come before what is in them. A folder or file that is the same in
the layers below is left out, unless something in that folder changed. A whiteout becomes `.wh.NAME` if there is
something to hide. An opaque folder is compared with what it hides, and one whiteout written for each name that is gone:
the `.wh..wh..opq` mark is never written. Of extended attributes only `security.capability` is kept; sockets are not.
Source: what BuildKit does (reference: buildkit.md §5 "Layers"); checked by diff IDs recorded from it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.archive.overlay import OPAQUE_ATTRIBUTES, is_whiteout
from engine.archive.tar_reader import BLOCK_DEVICE, CHAR, FIFO, FILE, FOLDER, LINK, SYMLINK
from engine.archive.tar_writer import Sink, TarWriter
from engine.archive.unpack import WHITEOUT
from engine.tree import CAPABILITY

if TYPE_CHECKING:
    from engine.tree import Entry, Tree

_CHUNK = 4 << 20
_SMALL = 1 << 16
_SECOND = 1_000_000_000
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


def write_layer(folder: Path, lower: Tree, sink: Sink, *, epoch: int | None = None) -> None:
    """Writes the tar of a layer folder that was made over `lower`.

    `epoch`: times later than these seconds are written as these (`rewrite-timestamp`).

    Raises:
        ArchiveError: if a file changes while it is read.
        OSError: if the folder cannot be read.
    """
    writer = TarWriter(sink)
    _Differ(str(folder), lower, writer, epoch).run()
    writer.close()


class _Item:
    """One name in the layer folder: `path` absolute in the layer, `real` where it lies, `over` the folder is opaque."""

    __slots__ = ("attributes", "info", "over", "path", "real")

    def __init__(self, path: str, real: str, info: os.stat_result, over: bool) -> None:
        self.path, self.real, self.info, self.over = path, real, info, over
        # Links have no attributes that count, and most else has none.
        self.attributes = [] if stat.S_ISLNK(info.st_mode) else os.listxattr(real, follow_symlinks=False)

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)

    @property
    def is_opaque(self) -> bool:
        marks = (name for name in OPAQUE_ATTRIBUTES if name in self.attributes)
        return self.is_dir and any(os.getxattr(self.real, name, follow_symlinks=False) == b"y" for name in marks)

    @property
    def capability(self) -> bytes:
        if CAPABILITY not in self.attributes:
            return b""
        return os.getxattr(self.real, CAPABILITY, follow_symlinks=False)


class _Differ:
    """The walk over one layer folder, and what it has written so far."""

    def __init__(self, folder: str, lower: Tree, writer: TarWriter, epoch: int | None) -> None:
        self._folder = folder
        self._lower = lower
        self._writer = writer
        self._epoch = epoch
        self._folders: set[str] = {"/"}
        self._first: dict[int, str] = {}  # inode → the first path written of it
        self._unwritten: dict[int, list[_Item]] = {}  # inode → names of it that did not differ

    def run(self) -> None:
        # A stack, not recursion: trees may be deeper than Python's.
        stack = [self._inside("/", over=False)]
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
            elif isinstance(item, str):
                self._write_whiteout(item)
            else:
                self._visit(item)
                if item.is_dir:
                    stack.append(self._inside(item.path, over=item.over or item.is_opaque))

    def _inside(self, path: str, *, over: bool) -> Iterator[_Item | str]:
        """What is in a folder of the layer, by name; for what it takes away from the layers below just the path."""
        base = path.rstrip("/")
        real = self._folder + base
        names = set(os.listdir(real))
        if over and (entry := self._lower.lstat(path)) and entry.is_dir:
            names.update(self._lower.names(path))
        for name in sorted(names, key=os.fsencode):
            try:
                info = os.lstat(f"{real}/{name}")
            except FileNotFoundError:
                yield f"{base}/{name}"
                continue
            if not is_whiteout(info):
                yield _Item(f"{base}/{name}", f"{real}/{name}", info, over)
            elif self._lower.lstat(f"{base}/{name}") is not None:
                yield f"{base}/{name}"

    def _visit(self, item: _Item) -> None:
        below = self._lower.lstat(item.path)
        if below is None or not self._same(item, below):
            self._write(item)
        elif item.over and not item.is_dir and item.info.st_nlink > 1:
            self._write_linked(item)

    def _write_linked(self, item: _Item) -> None:
        """An unchanged name of a file with several: as a link, if another of them is written, now or later."""
        if item.info.st_ino in self._first:
            self._write(item)
        else:
            self._unwritten.setdefault(item.info.st_ino, []).append(item)

    def _write(self, item: _Item) -> None:
        info, path = item.info, item.path
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return
        self._write_parents(path)
        also: list[_Item] = []
        link, size = "", 0
        data: Iterator[bytes | memoryview] = iter(())
        if not item.is_dir and info.st_nlink > 1 and info.st_ino in self._first:
            kind, link = LINK, self._first[info.st_ino]
        else:
            if not item.is_dir and info.st_nlink > 1:
                self._first[info.st_ino] = path[1:]
                also = self._unwritten.pop(info.st_ino, [])
            if kind == FILE and info.st_size:
                size, data = info.st_size, _content(item.real, info.st_size)
            elif kind == SYMLINK:
                link = os.readlink(item.real)
        if item.is_dir:
            self._folders.add(path)
        device = info.st_rdev if kind in (CHAR, BLOCK_DEVICE) else 0
        self._writer.add(
            path[1:] + "/" if item.is_dir else path[1:],
            kind,
            mode=stat.S_IMODE(info.st_mode),
            uid=info.st_uid,
            gid=info.st_gid,
            mtime=self._time(info),
            link=link,
            major=os.major(device),
            minor=os.minor(device),
            records={f"SCHILY.xattr.{CAPABILITY}": item.capability} if item.capability else None,
            size=size,
            data=data,
        )
        for other in also:
            self._write(other)

    def _write_whiteout(self, path: str) -> None:
        self._write_parents(path)
        parent, _, name = path.rpartition("/")
        self._writer.add_short(f"{parent}/{WHITEOUT}{name}"[1:])

    def _write_parents(self, path: str) -> None:
        """The folders that lead to a path, where they are not written yet, the topmost first."""
        missing = []
        parent = path.rpartition("/")[0]
        while parent and parent not in self._folders:
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for folder in reversed(missing):
            real = self._folder + folder
            self._write(_Item(folder, real, os.lstat(real), over=False))

    def _time(self, info: os.stat_result) -> int:
        seconds = info.st_mtime_ns // _SECOND
        return seconds if self._epoch is None else min(seconds, self._epoch)

    def _same(self, item: _Item, below: Entry) -> bool:
        """Whether the layers below show the same, by the measure of BuildKit's differ.

        Times are compared with full precision where both have it. Where both have whole seconds (one was unpacked), the
        contents decide.
        """
        info = item.info
        if (info.st_mode, info.st_uid, info.st_gid, info.st_rdev) != (below.mode, below.uid, below.gid, below.rdev):
            return False
        if item.capability != self._lower.xattrs(item.path).get(CAPABILITY, b""):
            return False
        if item.is_dir:
            return True
        if info.st_mtime_ns != below.mtime_ns:
            return False
        if stat.S_ISLNK(info.st_mode):
            return info.st_mtime_ns % _SECOND != 0 or os.readlink(item.real) == self._lower.readlink(item.path)
        if not stat.S_ISREG(info.st_mode):
            return True
        if info.st_size != below.size:
            return False
        return info.st_mtime_ns % _SECOND != 0 or self._same_content(item)

    def _same_content(self, item: _Item) -> bool:
        if not item.info.st_size:
            return True
        with open(item.real, "rb") as one, self._lower.open(item.path) as other:
            while piece := one.read(_CHUNK):
                if piece != other.read(len(piece)):
                    return False
        return True


def _content(real: str, size: int) -> Iterator[bytes | memoryview]:
    """A file's bytes. Holes are read as zeros, as the tar format wants them."""
    fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if size <= _SMALL:
            yield os.read(fd, size)
            return
        buffer = bytearray(min(size, _CHUNK))
        view = memoryview(buffer)
        while count := os.readv(fd, [buffer]):
            yield view[:count]
    finally:
        os.close(fd)

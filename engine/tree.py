"""A file tree that can be read without being mounted: a folder of this machine, or the layers of a snapshot.

Content checksums, COPY and the exporters read through this. Paths are absolute inside the tree, `/` being its top,
already clean (no `.`, `..` or doubled slashes), and *never* followed out of it: an implementation opens every component
below its root without following symbolic links.
"""

from __future__ import annotations

import errno
import posixpath
import stat
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Protocol

from engine.values import frozen

CAPABILITY = "security.capability"
"""The extended attribute that holds the capabilities of a program."""


@frozen
class Entry:
    """What is known about one path without reading it. `size` in bytes (regular files), times in nanoseconds.

    `identity` is equal for two entries of one tree that are hard links to the same file. `version` changes whenever
    the file's content or metadata may have changed (inode and change time): what a stat cache may rely on.
    """

    mode: int
    """Type and permission bits as in `st_mode`."""
    uid: int
    gid: int
    size: int
    mtime_ns: int
    rdev: int = 0
    links: int = 1
    identity: tuple[int, int] = (0, 0)
    version: tuple[int, ...] = ()

    @property
    def is_dir(self) -> bool:
        """A folder?"""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """A regular file?"""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """A symbolic link?"""
        return stat.S_ISLNK(self.mode)


class Tree(Protocol):
    """A read-only file tree."""

    def lstat(self, path: str) -> Entry | None:
        """The entry at a path, links not followed; None if there is none (or a parent is no folder)."""
        ...

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted by their bytes. Raises NotADirectoryError, FileNotFoundError."""
        ...

    def readlink(self, path: str) -> str:
        """The target of a symbolic link, as written."""
        ...

    def open(self, path: str) -> BinaryIO:
        """A regular file's content. Raises OSError; never follows a link at the last component."""
        ...

    def xattrs(self, path: str) -> Mapping[str, bytes]:
        """Extended attributes, without those of the overlay file system's own bookkeeping."""
        ...


MAX_TEXT = 16 << 20
"""Bytes of a text that is read whole, such as a Dockerfile or /etc/passwd; as many as gRPC puts in a message."""


def read_whole(file: BinaryIO, path: str, limit: int = MAX_TEXT) -> bytes:
    """A file's content. Raises OSError; EFBIG for more than `limit` bytes, which a sparse file has for nothing."""
    data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", path)
    return data


MAX_LINKS = 255
"""How many symbolic links one look-up may follow, as BuildKit's rootpath does."""


def resolve(tree: Tree, path: str, *, follow_last: bool = True) -> str:
    """The path with every symbolic link followed inside the tree; `..` stops at the top.

    Components that do not exist are kept as they are. Raises OSError (ELOOP) after `MAX_LINKS` links.
    """
    done, rest, followed = "/", [part for part in path.split("/") if part not in ("", ".")], 0
    while rest:
        part = rest.pop(0)
        if part == "..":
            done = posixpath.dirname(done)
            continue
        here = f"{done}/{part}" if done != "/" else f"/{part}"
        entry = tree.lstat(here)
        if entry is None or not entry.is_link or (not rest and not follow_last):
            done = here
            continue
        followed += 1
        if followed > MAX_LINKS:
            raise OSError(errno.ELOOP, "too many levels of symbolic links", path)
        target = tree.readlink(here)
        if target.startswith("/"):
            done = "/"
        rest = [p for p in target.split("/") if p not in ("", ".")] + rest
    return done

"""Reading a file below a folder without ever leaving it, whatever its links say."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from engine.tree import read_whole

_MAX_LINKS = 255


def inside(root: Path, path: str) -> Path:
    """Where a path leads within a folder: `..` stops at the folder, links are followed as if the folder were `/`.

    Raises:
        OSError: for a circle of links.
    """
    waiting = [part for part in path.split("/") if part not in ("", ".")][::-1]
    found: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            del found[-1:]
            continue
        here = os.path.join(root, *found, part)
        if not os.path.islink(here):
            found.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, "too many levels of symbolic links")
        target = os.readlink(here)
        if target.startswith("/"):
            found = []
        waiting += [step for step in target.split("/") if step not in ("", ".")][::-1]
    return Path(root, *found)


def read(root: Path, path: str) -> bytes:
    """A regular file's content.

    Raises:
        OSError: if it cannot be read.
    """
    where = inside(root, path)
    handle = os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        return read_whole(file, path)

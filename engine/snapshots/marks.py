"""What a layer looked like when it was made, so that one can see later whether it still does.

The *mark* is made of what the file system says of each file: one walk, which measures the layer as well, and reads
nothing. It shows what is missing, new, cut short or edited. It cannot show what a disk forgets, for no time and no size
changes then: for that the *content* is read, which takes as long as reading the layer does, and is done only when
somebody asks. Change times are left out: they do not survive a copy of the state folder to another disk.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from engine.values import frozen

_BITE = 1 << 20


@frozen
class Measured:
    """Bytes on the disk, a file with several names counted once, and the mark."""

    size: int
    mark: str


def measure(folder: Path | str) -> Measured:
    """Walks a layer's folder. The folder itself does not count: its time is that of its way into its place.

    Raises:
        OSError: if it cannot be read.
    """
    total, seen, lines = 0, set[int](), list[str]()
    for path, info in _walk(folder):
        size = info.st_size if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode) else 0
        lines.append(f"{path}\0{info.st_mode:o} {info.st_uid} {info.st_gid} {size} {info.st_mtime_ns} {info.st_rdev}\0")
        if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
            if info.st_ino in seen:
                continue
            seen.add(info.st_ino)
        total += info.st_blocks * 512
    return Measured(total, hashlib.sha256(os.fsencode("".join(sorted(lines)))).hexdigest())


def content_of(folder: Path) -> str:
    """What the files of a layer hold, where its links lead, and its attributes, as one digest. Raises OSError."""
    digest = hashlib.sha256()
    for path, info in sorted(_walk(folder), key=lambda item: item[0]):
        place = f"{folder}/{path}"
        digest.update(os.fsencode(path) + b"\0")
        if stat.S_ISLNK(info.st_mode):
            digest.update(os.fsencode(os.readlink(place)))
            continue
        for name in sorted(os.listxattr(place, follow_symlinks=False)):
            digest.update(os.fsencode(name) + b"\0" + os.getxattr(place, name, follow_symlinks=False) + b"\0")
        if stat.S_ISREG(info.st_mode):
            digest.update(_file_digest(place))
    return digest.hexdigest()


def _file_digest(place: str) -> bytes:
    digest = hashlib.sha256()
    with open(place, "rb") as file:
        while piece := file.read(_BITE):
            digest.update(piece)
    return digest.digest()


def _walk(folder: Path | str) -> list[tuple[str, os.stat_result]]:
    """Everything below a folder, by its path from there."""
    found: list[tuple[str, os.stat_result]] = []
    rest = [""]
    while rest:
        below = rest.pop()
        with os.scandir(f"{folder}/{below}") as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                found.append((below + entry.name, info))
                if stat.S_ISDIR(info.st_mode):
                    rest.append(f"{below}{entry.name}/")
    return found

"""How much room a disk has, in bytes and in files, when it counts as full, and what is gone from it."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 50
"""The reserve is this part of a disk …"""
RESERVE = 256 << 20
"""… but not more than this, in bytes …"""
RESERVED_FILES = 1000
"""… or this, in files. Some file systems, such as btrfs, do not count them."""


def is_gone(place: str) -> bool:
    """Whether there is nothing of this name. What cannot be looked at is not gone: a disk may have a bad moment."""
    try:
        os.stat(place)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def disk_space(place: Path) -> tuple[int, int]:
    """The bytes of the disk of a folder, and how many of them this process may still take."""
    try:
        info = os.statvfs(place)
    except OSError:
        return 0, 0
    return info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize


def reserve_of(total: int) -> int:
    """How many bytes of a disk stay free."""
    return min(total // SHARE, RESERVE)


def is_full(place: Path) -> bool:
    """Whether a disk has less than its reserve left, of bytes or of files."""
    try:
        info = os.statvfs(place)
    except OSError:
        return False
    total, free = info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize
    return free < reserve_of(total) or info.f_favail < min(info.f_files // SHARE, RESERVED_FILES)

"""How a layer says "gone" and "nothing of what lies below": the marks of the overlay file system.

A whiteout is a character device 0:0 or, where device nodes cannot be made, an empty regular file with the attribute
`overlay.whiteout` in a folder whose `overlay.opaque` is `x`. An opaque folder has `overlay.opaque` = `y`. Root
keeps these attributes under `trusted.`, everybody else under `user.` (mount option `userxattr`).

Format: https://docs.kernel.org/filesystems/overlayfs.html, "whiteouts and opaque directories".
"""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path

from engine.values import frozen

_FULL_MAP = ["0", "0", "4294967295"]


@frozen
class OverlayFormat:
    """Where the marks are kept: `prefix` is `trusted.overlay.` or `user.overlay.`."""

    prefix: str

    @property
    def mount_options(self) -> str:
        """What the kernel must be told to read and write this format, renames and links left as they are in a tar."""
        if self.prefix == "user.overlay.":
            return "userxattr"
        return "index=off,redirect_dir=off,metacopy=off"

    def opacity(self, folder: Path | str) -> bytes:
        """`y`: hides what lies below; `x`: may hold whiteouts in attribute form; empty: neither."""
        try:
            return os.getxattr(folder, self.prefix + "opaque", follow_symlinks=False)
        except OSError:
            return b""

    def is_whiteout(self, path: Path | str, info: os.stat_result, opacity: bytes) -> bool:
        """Whether an entry hides the name below it; `opacity` is that of the folder it is in."""
        if stat.S_ISCHR(info.st_mode):
            return info.st_rdev == 0
        if opacity != b"x" or not stat.S_ISREG(info.st_mode) or info.st_size:
            return False
        try:
            os.getxattr(path, self.prefix + "whiteout", follow_symlinks=False)
        except OSError:
            return False
        return True

    def make_whiteout(self, path: Path | str) -> None:
        """Hides the name below. Needs no privilege beyond a user namespace (Linux 5.8)."""
        os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))

    def make_opaque(self, folder: Path | str) -> None:
        """Hides everything that lies below a folder."""
        os.setxattr(folder, self.prefix + "opaque", b"y")

    def is_mark(self, attribute: str) -> bool:
        """Whether an extended attribute is the overlay's own bookkeeping."""
        return attribute.startswith(("trusted.overlay.", "user.overlay."))


@cache
def overlay_format() -> OverlayFormat:
    """The format that this process may write: `trusted.` needs root of the machine, not of a user namespace."""
    with open("/proc/self/uid_map") as file:
        initial = file.read().split() == _FULL_MAP
    return OverlayFormat("trusted.overlay." if initial and os.geteuid() == 0 else "user.overlay.")

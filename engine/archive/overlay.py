"""How overlayfs writes down what a layer takes away: whiteouts and opaque folders.

A whiteout is a character device 0:0, which any user may make since Linux 5.8. An opaque folder has the attribute
`trusted.overlay.opaque` = `y`, or, where only the initial user namespace may write `trusted.*`, `user.overlay.opaque`
(read by mounts with `userxattr`). Source: Documentation/filesystems/overlayfs.rst of the kernel.
"""

from __future__ import annotations

import errno
import os
import stat

OPAQUE_ATTRIBUTES = ("trusted.overlay.opaque", "user.overlay.opaque")
PRIVATE_PREFIXES = ("trusted.overlay.", "user.overlay.")
"""Attributes with these prefixes are the file system's bookkeeping: never taken from an archive, never shown."""


def is_whiteout(status: os.stat_result) -> bool:
    """Whether a file of a layer folder stands for "nothing here"."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(name: str, *, dir_fd: int | None = None) -> None:
    """Hides `name` of the layers below. Raises FileExistsError."""
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)


def is_opaque(folder: int | str | os.PathLike[str]) -> bool:
    """Whether a folder (an open one, or a path) hides everything of its name below."""
    for attribute in OPAQUE_ATTRIBUTES:
        try:
            if os.getxattr(folder, attribute) == b"y":
                return True
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
                raise
    return False


def set_opaque(folder: int | str | os.PathLike[str]) -> None:
    """Makes a folder (an open one, or a path) hide everything of its name below."""
    trusted, user = OPAQUE_ATTRIBUTES
    try:
        os.setxattr(folder, trusted, b"y")
    except PermissionError:
        os.setxattr(folder, user, b"y")

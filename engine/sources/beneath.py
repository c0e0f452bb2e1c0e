"""Opening a path below a folder without following any symbolic link, not even on the way.

`openat2(2)` does it in one call (Linux 5.6); where it is not there, or a sandbox forbids it, component by component.
"""

from __future__ import annotations

import ctypes
import errno
import os

_SYS_OPENAT2 = 437
_NO_MAGIC_LINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_RESOLVE = _NO_MAGIC_LINKS | _NO_SYMLINKS | _BENEATH
_MISSING = (errno.ENOSYS, errno.EPERM, errno.EINVAL)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def open_beneath(root: int, path: str, flags: int) -> int:
    """A new descriptor of `path` (relative, clean; `""` is the folder itself) below the folder `root`.

    Raises:
        OSError: ELOOP or ENOTDIR where a symbolic link is on the way or at the end.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if not path or "/" not in path:
        return os.open(path or ".", flags, dir_fd=root)
    how = _OpenHow(flags, 0, _RESOLVE)
    name = ctypes.c_char_p(os.fsencode(path))
    fd = _libc.syscall(_SYS_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how))
    if fd >= 0:
        return int(fd)
    number = ctypes.get_errno()
    if number in _MISSING:
        return open_by_component(root, path, flags)
    raise OSError(number, os.strerror(number), path)


def open_by_component(root: int, path: str, flags: int) -> int:
    """As `open_beneath`, with one `openat` for each component. `flags` hold O_NOFOLLOW."""
    *folders, name = path.split("/")
    here = os.dup(root)
    try:
        for folder in folders:
            deeper = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = deeper
        return os.open(name, flags, dir_fd=here)
    finally:
        os.close(here)

"""Copying the content of a file: shared blocks where the file system can, holes kept, in the kernel where possible."""

from __future__ import annotations

import errno
import os

from engine.turns import out_of_turn

_NOT_HERE = (errno.ENOSYS, errno.EXDEV, errno.EPERM, errno.EIO, errno.EOPNOTSUPP, errno.EINVAL, errno.ETXTBSY)
_CHUNK = 1 << 20
_SMALL = 64 * 1024
_MOST = 1 << 30


def copy_content(source: int, target: int, info: os.stat_result) -> None:
    """Copies an open file into an empty one. `info` is the source's. Raises OSError."""
    if info.st_size == 0:
        return
    if info.st_size <= _SMALL:
        data = os.read(source, _SMALL + 1)
        if os.write(target, data) == len(data) == info.st_size:
            return  # what changed meanwhile is found by whoever closes the source
        os.ftruncate(target, 0)
        os.lseek(source, 0, os.SEEK_SET)
        os.lseek(target, 0, os.SEEK_SET)
    with out_of_turn():
        if info.st_blocks * 512 < info.st_size:
            _copy_data_only(source, target, info.st_size)
        else:
            _copy_range(source, target, 0, info.st_size)


def _copy_data_only(source: int, target: int, size: int) -> None:
    """Copies the parts of a file that are no holes."""
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            start = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole is left
            raise
        at = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, at)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    at = start
    while at < end:
        try:
            done = os.copy_file_range(source, target, min(end - at, _MOST), at, at)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            _copy_by_hand(source, target, at, end)
            return
        if done == 0:
            return
        at += done


def _copy_by_hand(source: int, target: int, at: int, end: int) -> None:
    while at < end:
        data = os.pread(source, min(_CHUNK, end - at), at)
        if not data:
            return
        while data:
            done = os.pwrite(target, data, at)
            data, at = data[done:], at + done

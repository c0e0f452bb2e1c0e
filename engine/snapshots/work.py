"""What this process is writing: a folder of its own under `work/`, held by a lock that dies with the process."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import SPACE_HINT, StateError

_LOCK = "lock"
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_UNRELATED = 0x00020000
"""ext4's flag `T`, see chattr(1): the folders in this folder have nothing in common, and need not lie together."""
_SHELVES = 64


class WorkFolder:
    """Makes folders for unfinished work. What dead processes left behind is swept away when the first one is made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mine: Path | None = None
        self._apart: Path | None = None
        self._shelves: list[str] = []
        self._lock_fd = -1
        self._guard = threading.Lock()
        self._numbers = itertools.count()
        self._small = itertools.count()

    def make(self, label: str) -> Path:
        """A new empty folder. Raises StateError when the disk is full or not writable."""
        with self._told():
            return _made(self._folder() / f"{label}-{next(self._numbers)}")

    def make_apart(self, label: str) -> Path:
        """The same for thousands of files at once, which the file system should put away from others.

        ext4 looks for each new file through all that were removed near its folder in the last minutes. After an old
        cache was removed that took as long as everything else in unpacking an image.

        Raises:
            StateError: as `make`.
        """
        with self._told():
            mine = self._folder()
            with self._guard:
                if self._apart is None:
                    self._apart = _made(mine / "apart")
                    _spread(self._apart)
            # By its name the file system chooses the place: the same name would come to lie where it lay the last time.
            return _made(self._apart / f"{label}-{os.urandom(6).hex()}")

    def make_small(self, label: str) -> str:
        """The same for one of thousands of folders with little in them, as a text: a path would cost more than it does.

        They lie on shelves that are apart: together they would be removed together one day, and the file system would
        put those of the next build in the very place where it then has to look through them (see `make_apart`); and
        each of them apart would have it write to all its tables.

        Raises:
            StateError: as `make`.
        """
        number = next(self._small)
        while len(self._shelves) <= min(number, _SHELVES - 1):
            self._shelves.append(str(self.make_apart("shelf")))
        place = f"{self._shelves[number % _SHELVES]}/{label}-{number}"
        with self._told():
            os.mkdir(place, 0o711)
        return place

    def _folder(self) -> Path:
        with self._guard:
            if self._mine is None:
                self._mine = self._claim()
                self.sweep()
            return self._mine

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = f"{SPACE_HINT}, or set BAKERY_ROOT"
            raise StateError(f"cannot write to {self._root}: {error.strerror}", hint=hint) from error

    def sweep(self) -> int:
        """Removes what processes that are gone have left; how many of them there were."""
        swept = 0
        for folder in self._root.iterdir():
            if folder == self._mine:
                continue
            try:
                fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                continue  # not yet claimed, or its owner has just left
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                swept += 1
            except BlockingIOError:
                pass  # its owner lives
            finally:
                os.close(fd)
        return swept

    def close(self) -> None:
        """Removes this process's folder; nothing in it may be mounted any more."""
        with self._guard:
            if self._mine is not None:
                shutil.rmtree(self._mine, ignore_errors=True)
                os.close(self._lock_fd)
                self._mine = self._apart = None
                self._shelves.clear()

    def _claim(self) -> Path:
        # Each process's folders in a place of their own: thousands of small layers take four times as long where a
        # cache was just removed (see `make_apart`).
        _spread(self._root)
        # Locked under another name, then renamed: what bears its own name is ours for sure. A sweep may still come
        # between the lock's making and its taking; then the folder is gone, and we begin anew.
        while True:
            name = f"{os.getpid()}-{os.urandom(4).hex()}"
            new = self._root / f".{name}"
            new.mkdir(mode=0o711)
            descriptor = -1
            try:
                descriptor = os.open(new / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                mine = new.rename(self._root / name)
            except FileNotFoundError:
                if descriptor >= 0:
                    os.close(descriptor)
                if not self._root.is_dir():
                    raise
                continue
            self._lock_fd = descriptor
            return mine


def _made(folder: Path) -> Path:
    os.mkdir(folder, 0o711)
    return folder


def _spread(folder: Path) -> None:
    """Tells the file system to put the folders in this one apart. Others than ext2 to ext4 need no telling."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = struct.unpack("l", fcntl.ioctl(fd, _GET_FLAGS, bytes(struct.calcsize("l"))))[0]
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("l", flags | _UNRELATED))
    except OSError:
        pass
    finally:
        os.close(fd)


def discard(folder: Path) -> None:
    """Removes a folder and all that is in it, as far as it can; the sweep of a later process tries again."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    # Not root, and a folder (the overlay's own work folder is one) without permissions: give them, then again.
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with suppress(OSError):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)

"""What this process is writing: a folder of its own under `work/`, held by a lock that dies with the process."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from engine.errors import SPACE_HINT, StateError

_LOCK = "lock"


class WorkFolder:
    """Makes folders for unfinished work. What dead processes left behind is swept away when the first one is made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mine: Path | None = None
        self._lock_fd = -1
        self._guard = threading.Lock()
        self._numbers = itertools.count()

    def make(self, label: str) -> Path:
        """A new empty folder. Raises StateError when the disk is full or not writable."""
        try:
            with self._guard:
                if self._mine is None:
                    self._mine = self._claim()
                    self.sweep()
            folder = self._mine / f"{label}-{next(self._numbers)}"
            os.mkdir(folder, 0o711)
        except OSError as error:
            raise StateError(
                f"cannot write to {self._root}: {error.strerror}",
                hint=f"{SPACE_HINT}, or set BAKERY_ROOT",
            ) from error
        return folder

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
                self._mine = None

    def _claim(self) -> Path:
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

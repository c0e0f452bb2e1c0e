"""What processes use, so that garbage collection takes nothing away from under a running build.

Each process that uses a state folder writes the names of the layers and blobs it uses into a lease: a file that it
holds locked while it lives, so a lease whose lock is free belongs to nobody any more. Whoever looks for something and
means to use it does both, the looking and the writing down, while it holds the *gate* together with others; a collector
holds the gate alone while it reads the leases and takes things away. So nothing is found that is just going.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import StateError, disk_hint

_GATE = "gate"
_PREFIX = "lease-"
_PAUSE = 0.005


class Lease:
    """What this process uses. Any number of threads may use it."""

    def __init__(self, locks: Path) -> None:
        self._locks = locks
        self._guard = threading.Lock()
        self._held: set[str] = set()
        self._file = -1
        self._gate = -1
        self._path = locks / f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Nothing is collected inside the block, which must be short and must not wait for anything."""
        gate = _open(self._locks / _GATE)
        try:
            fcntl.flock(gate, fcntl.LOCK_SH)
            yield
        finally:
            os.close(gate)

    def hold(self, names: Iterable[str]) -> None:
        """Keeps things from being collected until the lease ends. Called inside `taking`. Raises StateError."""
        with self._guard:
            new = [name for name in names if name not in self._held]
            if not new or self._gate >= 0:
                return
            try:
                if self._file < 0:
                    self._file = _open(self._path)
                    fcntl.flock(self._file, fcntl.LOCK_EX)
                text = "".join(f"{name}\n" for name in new).encode()
                if os.write(self._file, text) != len(text):
                    raise OSError("no space left")
            except OSError:
                # What cannot be written down, for the disk is full, is protected by keeping all collectors out.
                self._gate = _open(self._locks / _GATE)
                fcntl.flock(self._gate, fcntl.LOCK_SH)
            self._held.update(new)

    def held(self) -> frozenset[str]:
        """The names of all that this process uses."""
        with self._guard:
            return frozenset(self._held)

    def release(self) -> None:
        """Ends the lease; what is held after that begins a new one."""
        with self._guard:
            if self._file >= 0:
                with suppress(FileNotFoundError):
                    os.unlink(self._path)
            for descriptor in (self._file, self._gate):
                if descriptor >= 0:
                    os.close(descriptor)
            self._file = self._gate = -1
            self._held.clear()


@contextmanager
def collecting(locks: Path, patience: float = 5.0) -> Iterator[frozenset[str]]:
    """The names that are in use, while nobody can take anything up. To be held for a moment only.

    Raises:
        StateError: if the gate did not become free within `patience` seconds.
    """
    gate = _open(locks / _GATE)
    try:
        deadline = time.monotonic() + patience
        while not _try(gate, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise StateError(
                    "a running build keeps everything in use", hint="wait for it to end, for its disk is full"
                )
            time.sleep(_PAUSE)
        yield names_in_use(locks, sweep=True)
    finally:
        os.close(gate)


def names_in_use(locks: Path, *, sweep: bool = False) -> frozenset[str]:
    """What living processes use. `sweep` removes the leases of dead ones, which only a collector may."""
    found: set[str] = set()
    for path in locks.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if not _try(descriptor, fcntl.LOCK_SH):
                found.update(path.read_text().split("\n"))
            elif sweep:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return frozenset(found - {""})


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = disk_hint(error, "set BAKERY_ROOT to another folder")
        raise StateError(f"cannot use {path}: {error.strerror}", hint=hint) from error


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

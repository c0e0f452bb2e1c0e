"""Where an output goes: a file that is there whole or not at all, a folder, or standard output."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from engine.errors import NO_SPACE, ExportError
from engine.exporters.contract import ExportResult
from engine.exporters.evidence import of_files

STDOUT = "-"


class Output(Protocol):
    """Takes the bytes of an output."""

    def write(self, data: bytes | bytearray | memoryview, /) -> Any:
        """Writes all of them. Raises OSError."""
        ...


@contextmanager
def output_file(dest: str) -> Iterator[Output]:
    """A file to write to, or standard output for `-`. The file appears when the block ends well.

    Raises:
        ExportError: if it cannot be written, in the block or at its end.
    """
    if dest == STDOUT:
        with explained("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    path = Path(dest)
    with explained(dest):
        check_file(dest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _device(path) if _is_special(path) else whole_file(path.resolve()) as output:
            yield output


@contextmanager
def whole_file(path: Path) -> Iterator[Output]:
    """A file that takes its place when the block ends well, and is gone if it does not. Raises OSError."""
    new = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield _Whole(handle)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _is_special(path: Path) -> bool:
    """Whether a device, pipe or socket is there: that is written to, and nothing takes its place."""
    return path.exists() and not path.is_file()


@contextmanager
def _device(path: Path) -> Iterator[Output]:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield _Whole(handle)
    finally:
        os.close(handle)


def written_file(dest: str, metadata: Mapping[str, str]) -> ExportResult:
    """The result of an output that is one file, or went where nobody can look at it again. Raises ExportError."""
    if dest == STDOUT or _is_special(Path(dest)):
        return ExportResult(metadata)
    with explained(dest):
        path = os.path.abspath(dest)
        return ExportResult(metadata, os.stat(path).st_size, tuple(of_files([path])))


def check_file(dest: str) -> None:
    """Refuses to write an archive to a terminal or in the place of a folder. Raises ExportError."""
    if dest == STDOUT and sys.stdout.isatty():
        raise ExportError("refusing to write an archive to the terminal", hint="set dest=FILE, or redirect the output")
    if dest != STDOUT and Path(dest).is_dir():
        raise ExportError(f"cannot write {dest}: it is a folder", hint=f"write dest={dest.rstrip('/')}/image.tar")


def check_folder(dest: str) -> None:
    """Refuses to write a folder in the place of a file. Raises ExportError."""
    if Path(dest).exists() and not Path(dest).is_dir():
        raise ExportError(f"cannot write {dest}: it is no folder", hint="choose another dest")


class _Whole:
    """A file whose `write` writes all."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


@contextmanager
def explained(place: str) -> Iterator[None]:
    """What the operating system refuses inside becomes an ExportError about `place`."""
    try:
        yield
    except OSError as error:
        hint = ""
        if error.errno in NO_SPACE:
            hint = "free some space, or choose another dest"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "choose a dest that you may write to"
        raise ExportError(f"cannot write {place}: {error.strerror or error}", hint=hint) from error

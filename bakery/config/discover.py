"""Which files are the definition: those named, those of BUILDX_BAKE_FILE, or those with a well-known name."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePath
from typing import BinaryIO

from bakery.diagnostics import BakeryError, SourceFile
from bakery.values import frozen

MAX_SIZE = 10 * 1000 * 1000
"""Bytes of one definition file."""

PATIENCE = 20
"""Seconds in which something has to come out of a pipe."""

DEFAULT_NAMES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
    "bakery.json",
    "bakery.yaml",
    "bakery.yml",
    "bakery.hcl",
)
"""Looked for in the working folder, later ones winning: the peer's names in its order, then our own."""

STDIN = "-"

_WIDE = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""What files begin with that editors saved in another encoding."""


class Format(Enum):
    """How a file is written; UNKNOWN is found out by trying."""

    COMPOSE = "Compose"
    HCL = "HCL"
    JSON = "JSON"
    YAML = "YAML"
    UNKNOWN = "unknown"


@frozen
class Found:
    """A definition file that has been read. `own` says that its name is one of bakery's own."""

    file: SourceFile
    format: Format
    own: bool
    path: str


def is_own(name: str) -> bool:
    """Whether a file of this name is in bakery's own dialect: `bakery.hcl`, `web.bakery.yaml`."""
    return PurePath(name).stem.lower().rpartition(".")[2] == "bakery"


def format_of(name: str) -> Format:
    """The format that a name stands for."""
    suffix = PurePath(name).suffix.lower()
    if suffix in (".yml", ".yaml"):
        return Format.YAML if is_own(name) else Format.COMPOSE
    return {".json": Format.JSON, ".hcl": Format.HCL}.get(suffix, Format.UNKNOWN)


def discover(names: Sequence[str], env: Mapping[str, str], cwd: Path, stdin: bytes | None) -> list[Found]:
    """The files of one command, read; none if nothing is named and nothing found. Raises BakeryError."""
    if not names:
        listed = env.get("BUILDX_BAKE_FILE", "")
        separator = env.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep
        names = [name for part in listed.split(separator) if (name := part.strip())]
    if not names:
        return [found for name in DEFAULT_NAMES if (found := _if_there(name, cwd)) is not None]
    return [found for name in names if (found := _named(name, cwd, stdin)) is not None]


def _if_there(name: str, cwd: Path) -> Found | None:
    path = cwd / name
    return read(name, cwd) if path.is_file() else None


def _named(name: str, cwd: Path, stdin: bytes | None) -> Found | None:
    if name == STDIN:
        return _found(STDIN, stdin or b"")
    return read(name, cwd)


def read(name: str, cwd: Path) -> Found | None:
    """A file by its path from the working folder; None if it is empty, which counts as absent. Raises BakeryError."""
    path = cwd / name
    try:
        if os.path.isfile(path) and path.stat().st_size > MAX_SIZE:
            raise _too_large(name)
        with _opened(path) as opened:
            data = opened.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:  # a name may have a zero byte in it
        reason = (getattr(error, "strerror", "") or "cannot be read").lower()
        unreadable = isinstance(error, PermissionError)
        hint = "you may not read it: look at its mode and owner" if unreadable else "check the path given with -f"
        raise BakeryError.of(f"open {name}: {reason}", hint=hint) from None
    return _found(name, data)


def _opened(path: Path) -> BinaryIO:
    """A file, or a pipe into which somebody writes; a pipe that nobody writes into would be waited for without end."""
    opened = open(path, "rb", opener=_at_once)  # noqa: SIM115 - the caller closes it
    try:
        if stat.S_ISFIFO(os.fstat(opened.fileno()).st_mode):
            waiting = select.poll()
            waiting.register(opened, select.POLLIN)
            if not waiting.poll(PATIENCE * 1000):
                raise OSError(errno.ETIMEDOUT, f"a pipe into which nobody writes for {PATIENCE} seconds")
        os.set_blocking(opened.fileno(), True)
    except BaseException:
        opened.close()
        raise
    return opened


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _found(name: str, data: bytes) -> Found | None:
    return Found(decoded(name, data), format_of(name), is_own(name), name) if data else None


def decoded(name: str, data: bytes) -> SourceFile:
    """A definition's bytes as text. Raises BakeryError."""
    if len(data) > MAX_SIZE:
        raise _too_large(name)
    try:
        return SourceFile(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _not_utf8(name, data, error.start) from None


def _not_utf8(name: str, data: bytes, at: int) -> BakeryError:
    """The error for the first byte that is no text, with its place in what can be shown of the file."""
    from bakery.config.hcl.source import Source

    wide = next((encoding for mark, encoding in _WIDE.items() if data.startswith(mark)), "")
    if wide:
        return BakeryError.of(f"{name}: not UTF-8", f"the file begins like one in {wide}", hint="save it as UTF-8")
    source = Source(SourceFile(name, data.decode("utf-8", "replace")))
    start = len(data[:at].decode("utf-8"))
    return BakeryError.of(
        "Not UTF-8", f"the byte 0x{data[at]:02x} is no text here", source.span(start, start + 1), "save it as UTF-8"
    )


def _too_large(name: str) -> BakeryError:
    return BakeryError.of(f"{name} is too large", f"a definition may have {MAX_SIZE // 1_000_000} MB")

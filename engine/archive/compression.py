"""Compressed streams: told apart by their first bytes, read and written by the fastest library at hand.

gzip goes through ISA-L (several times zlib's speed), compressing in threads of its own; zstd through zstandard, which
has threads, too. Both release the interpreter's lock. Libraries are imported when first needed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from enum import Enum
from typing import Any, BinaryIO, Protocol

from engine.archive.errors import ArchiveError
from engine.archive.tar_reader import Readable


class Compression(Enum):
    """A form of compression, by BuildKit's name for it."""

    UNCOMPRESSED = "uncompressed"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


_MAGIC = {
    b"\x1f\x8b\x08": Compression.GZIP,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"BZh": Compression.BZIP2,
    b"\xfd7zXZ\x00": Compression.XZ,
}
MAGIC_LENGTH = 6
_GZIP_LEVELS = 3  # ISA-L has 0 to 3
_BUFFER = 1 << 20
_PIECE = 1 << 16


def detect(start: bytes) -> Compression:
    """The compression of a stream that starts so; `UNCOMPRESSED` for anything unknown."""
    if start[:3] == b"\x2a\x4d\x18" or (len(start) > 3 and 0x50 <= start[0] <= 0x5F and start[1:4] == b"\x2a\x4d\x18"):
        return Compression.ZSTD  # a skippable frame, as zstd:chunked writes
    return next((found for magic, found in _MAGIC.items() if start.startswith(magic)), Compression.UNCOMPRESSED)


class _Prefixed:
    """A stream, with what was already read of it put back in front."""

    def __init__(self, start: bytes, stream: Readable) -> None:
        self._start, self._stream = start, stream
        self._fill = filler(stream)

    def fill(self, buffer: memoryview, /) -> int:
        if not self._start:
            return self._fill(buffer)
        start, self._start = self._start[: len(buffer)], self._start[len(buffer) :]
        buffer[: len(start)] = start
        return len(start)

    def read(self, size: int = -1, /) -> bytes:
        if self._start:
            if size < 0:
                start, self._start = self._start, b""
                return start + self._stream.read(-1)
            start, self._start = self._start[:size], self._start[size:]
            return start
        return self._stream.read(size)


class _Checked:
    """A decompressing stream whose errors are ours."""

    def __init__(self, inner: Readable, name: str) -> None:
        self._inner, self._name = inner, name

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._inner.read(size)
        except (EOFError, ValueError) as error:
            raise ArchiveError(f"broken {self._name} stream: {error}") from error
        except OSError as error:
            if error.errno is not None:  # the stream below, not the decompressor
                raise
            raise ArchiveError(f"broken {self._name} stream: {error}") from error
        except Exception as error:
            if not _is_from_library(error):
                raise
            raise ArchiveError(f"broken {self._name} stream: {error}") from error


def _is_from_library(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("zlib", "igzip_lib", "isal", "zstandard", "_lzma")


def decompressor(stream: Readable | BinaryIO) -> Readable:
    """The content of a stream, whatever its compression. Its `read` raises ArchiveError where it is broken."""
    start = b""
    while len(start) < MAGIC_LENGTH and (more := stream.read(MAGIC_LENGTH - len(start))):
        start += more
    return decompressor_of(_Prefixed(start, stream), detect(start))


def decompressor_of(stream: Readable | BinaryIO, compression: Compression) -> Readable:
    """The content of a stream of known compression."""
    source: Any = stream
    if compression is Compression.UNCOMPRESSED:
        return source  # type: ignore[no-any-return]
    if compression is Compression.ZSTD:
        import zstandard

        inner: Any = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True, read_size=_BUFFER)
    elif compression is Compression.GZIP:
        from isal import igzip

        inner = igzip.IGzipFile(fileobj=_Seekless(source), mode="rb")  # type: ignore[no-untyped-call]
    elif compression is Compression.BZIP2:
        import bz2

        inner = bz2.BZ2File(_Seekless(source), "rb")
    else:
        import lzma

        inner = lzma.LZMAFile(_Seekless(source), "rb")  # type: ignore[arg-type] # noqa: SIM115 (the caller reads it)
    return _Checked(inner, compression.value)


def first_bytes(stream: Readable | BinaryIO, size: int) -> bytes:
    """The first `size` bytes of a stream's content, whatever its compression; fewer where it ends or is broken."""
    data = stream.read(_PIECE)
    inner = _step_by_step(detect(data[:MAGIC_LENGTH]))
    if inner is None:
        return data[:size]
    found = b""
    try:
        while data and len(found) < size:
            found += inner.decompress(data)
            data = stream.read(_PIECE)
    except Exception as error:
        if not isinstance(error, (OSError, EOFError, ValueError)) and not _is_from_library(error):
            raise
    return found[:size]


def _step_by_step(compression: Compression) -> Any:
    """What decompresses as much as can be from what it is given; None for what is not compressed."""
    if compression is Compression.GZIP:
        import zlib

        return zlib.decompressobj(wbits=31)
    if compression is Compression.ZSTD:
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj()
    if compression is Compression.BZIP2:
        import bz2

        return bz2.BZ2Decompressor()
    if compression is Compression.XZ:
        import lzma

        return lzma.LZMADecompressor()
    return None


class _Seekless(io.RawIOBase):
    """A readable as the standard library's file classes want it."""

    def __init__(self, stream: Readable) -> None:
        self._fill = filler(stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._fill(memoryview(buffer))


def filler(stream: Readable | BinaryIO) -> Callable[[memoryview], int]:
    """Reads a stream into buffers; it gives how many bytes there are now, 0 at the end.

    Streams that have a `fill` do that themselves, and nothing is copied.
    """
    direct: Callable[[memoryview], int] | None = getattr(stream, "fill", None)
    if direct is not None:
        return direct

    def copying(buffer: memoryview) -> int:
        data = stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    return copying


class Compressor(Protocol):
    """Takes plain bytes; `close` ends the compressed stream, leaving the one below open."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Compresses some bytes."""
        ...

    def close(self) -> None:
        """Writes what is left."""
        ...


class Writable(Protocol):
    """All that is asked of a stream to write to."""

    def write(self, data: bytes | memoryview, /) -> Any:
        """Writes all of the bytes."""
        ...


class _Plain:
    """No compression."""

    def __init__(self, sink: Writable) -> None:
        self.write = sink.write

    def close(self) -> None:
        pass


def compressor(sink: Writable, compression: Compression, level: int | None = None) -> Compressor:
    """A writer that compresses into `sink`. `level` is gzip's 0 to 9 or zstd's 1 to 22; None: a fast, good one.

    The same input and level give the same bytes on every machine: the number of threads does not count.
    """
    if compression is Compression.UNCOMPRESSED:
        return _Plain(sink)
    if compression is Compression.GZIP:
        from engine.archive.gzip_writer import GzipWriter

        return GzipWriter(sink, level)
    if compression is Compression.ZSTD:
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(
            3 if level is None else level, threads=max(1, os.cpu_count() or 1), write_checksum=False
        )
        writer: Compressor = zstandard.ZstdCompressor(compression_params=parameters).stream_writer(sink, closefd=False)  # type: ignore[arg-type]
        return writer
    raise ValueError(f"{compression.value} is not written")

"""Compressed streams: what one library writes, ours reads, and the other way round; broken ones are told apart."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import subprocess

import pytest
import zstandard

from engine.archive.compression import Compression, compressor, decompressor, detect
from engine.archive.errors import ArchiveError

TEXT = b"".join(b"line %d of a text that compresses well\n" % n for n in range(100_000))
NOISE = random.Random(1).randbytes(1_200_001)


@pytest.mark.parametrize(
    "compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress, bytes], ids=lambda f: f.__name__
)
def test_every_form_is_told_by_its_first_bytes_and_read(compress) -> None:
    assert _read_all(decompressor(io.BytesIO(compress(TEXT)))) == TEXT


def test_a_short_plain_stream_is_given_back_whole() -> None:
    assert _read_all(decompressor(io.BytesIO(b"ab"))) == b"ab"
    assert _read_all(decompressor(io.BytesIO(b""))) == b""


def test_zstd_with_a_skippable_frame_in_front_is_zstd() -> None:
    assert detect(b"\x50\x2a\x4d\x18\x04\0") is Compression.ZSTD


def test_several_gzip_members_are_one_stream() -> None:
    assert _read_all(decompressor(io.BytesIO(gzip.compress(b"one") + gzip.compress(b"two")))) == b"onetwo"


@pytest.mark.parametrize("level", [None, 0, 1, 6, 9])
@pytest.mark.parametrize("data", [b"", b"x", TEXT, NOISE], ids=["empty", "byte", "text", "noise"])
def test_what_we_gzip_everybody_reads(data: bytes, level: int | None) -> None:
    compressed = _compress(data, Compression.GZIP, level)
    assert gzip.decompress(compressed) == data
    assert subprocess.run(["gzip", "-dc"], input=compressed, capture_output=True, check=True).stdout == data


def test_gzip_does_not_depend_on_how_the_data_came() -> None:
    once, sink = _compress(TEXT, Compression.GZIP), io.BytesIO()
    writer = compressor(sink, Compression.GZIP)
    for start in range(0, len(TEXT), 77_777):
        writer.write(TEXT[start : start + 77_777])
    writer.close()
    assert sink.getvalue() == once


@pytest.mark.parametrize("level", [None, 1, 19])
def test_what_we_zstd_everybody_reads(level: int | None) -> None:
    compressed = _compress(TEXT, Compression.ZSTD, level)
    assert subprocess.run(["zstd", "-dc"], input=compressed, capture_output=True, check=True).stdout == TEXT


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_broken_stream_is_our_error(compress) -> None:
    broken = bytearray(compress(TEXT))
    broken[len(broken) // 2 :] = b"\xff" * (len(broken) - len(broken) // 2)
    with pytest.raises(ArchiveError, match=r"broken \w+ stream"):
        _read_all(decompressor(io.BytesIO(bytes(broken))))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_stream_that_is_cut_off_is_our_error(compress) -> None:
    with pytest.raises(ArchiveError, match=r"broken \w+ stream"):
        _read_all(decompressor(io.BytesIO(compress(NOISE)[:-100])))


def test_an_error_of_the_stream_below_is_not_taken_for_broken_data() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1000:
                raise OSError(5, "Input/output error")
            return super().read(min(size or 0, 2000))

    with pytest.raises(OSError, match="Input/output error"):
        _read_all(decompressor(Failing(gzip.compress(NOISE))))


def _compress(data: bytes, compression: Compression, level: int | None = None) -> bytes:
    sink = io.BytesIO()
    writer = compressor(sink, compression, level)
    writer.write(data)
    writer.close()
    return sink.getvalue()


def _read_all(stream) -> bytes:
    parts = []
    while piece := stream.read(1 << 16):
        parts.append(piece)
    return b"".join(parts)

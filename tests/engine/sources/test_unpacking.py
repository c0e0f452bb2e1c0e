"""Layers that are broken in one way or the other, unpacked by two threads: the right error, and never for ever."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
from pathlib import Path

import pytest
from support.images import layer_tar

from engine.archive.errors import ArchiveError
from engine.blobs import CorruptBlob
from engine.digests import sha256
from engine.errors import RegistryError, SourceError
from engine.sources.unpacking import unpack_verified

CONTENT = random.Random(5).randbytes(8 << 20)
TAR = layer_tar({"big": CONTENT, "small": b"s"})
BLOB = gzip.compress(TAR, 1)


class Stream:
    """A blob's bytes, of which some may be wrong; `fails` is raised after so many of them."""

    def __init__(self, data: bytes, expected: bytes, fails: tuple[int, Exception] | None = None) -> None:
        self._file, self._expected, self._fails = io.BytesIO(data), expected, fails
        self._hash = hashlib.sha256()
        self.finished = False

    def read(self, size: int = -1, /) -> bytes:
        if self._fails and self._file.tell() >= self._fails[0]:
            raise self._fails[1]
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def finish(self) -> None:
        self.finished = True
        while self.read(1 << 20):
            pass
        if self._hash.digest() != hashlib.sha256(self._expected).digest():
            raise CorruptBlob("not what its digest says")


class Filling(Stream):
    """One that reads into others' buffers, as those straight from a socket do."""

    def fill(self, buffer: memoryview, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("kind", [Stream, Filling])
@pytest.mark.parametrize("blob", [BLOB, TAR, gzip.compress(TAR[: 3 << 20], 1) + gzip.compress(TAR[3 << 20 :], 9)])
def test_a_layer_is_unpacked_and_its_stream_read_to_the_end(kind: type[Stream], blob: bytes, tmp_path: Path) -> None:
    stream = kind(blob, blob)
    unpacked = unpack_verified(stream, tmp_path, sha256(TAR))
    assert stream.finished
    assert unpacked.size == len(CONTENT) + 1
    assert (tmp_path / "big").read_bytes() == CONTENT


def test_a_tar_that_is_not_the_one_of_the_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="its image says"):
        unpack_verified(Stream(BLOB, BLOB), tmp_path, sha256(b"another"))


@pytest.mark.parametrize("at", [0, 10, 1 << 20, len(BLOB) // 2, len(BLOB) - 4])
def test_a_changed_byte_is_known_for_the_bad_line_that_it_is(at: int, tmp_path: Path) -> None:
    changed = bytearray(BLOB)
    changed[at] ^= 0xFF
    with pytest.raises(CorruptBlob):
        unpack_verified(Stream(bytes(changed), BLOB), tmp_path, sha256(TAR))


@pytest.mark.parametrize(
    "blob",
    [
        gzip.compress(TAR[:600_000], 1),
        gzip.compress(TAR[:512] + b"x" * 512 + TAR, 1)[:-3],
        BLOB[: len(BLOB) // 2],
        gzip.compress(TAR[: 2 << 20] + b"\xff" * (12 << 20), 1)[:-20],
    ],
    ids=["short tar", "short gzip", "half a gzip", "both broken"],
)
def test_a_blob_that_is_right_and_broken_is_a_broken_archive(blob: bytes, tmp_path: Path) -> None:
    stream = Stream(blob, blob)
    with pytest.raises(ArchiveError):
        unpack_verified(stream, tmp_path, None)
    assert stream.finished, "it was asked whether the blob was damaged"


def test_a_tar_that_is_broken_early_is_not_decompressed_to_its_end(tmp_path: Path) -> None:
    broken = gzip.compress(b"\xff" * 512 + CONTENT, 1)
    with pytest.raises(ArchiveError, match="not a tar archive"):
        unpack_verified(Stream(broken, broken), tmp_path, None)


def test_an_error_of_the_line_ends_both_threads(tmp_path: Path) -> None:
    stream = Stream(BLOB, BLOB, (5 << 20, RegistryError("the registry is gone")))
    with pytest.raises(RegistryError, match="gone"):
        unpack_verified(stream, tmp_path, None)


def test_a_full_disk_is_told_without_reading_on(tmp_path: Path) -> None:
    target = tmp_path / "layer"
    target.mkdir()
    # A name that is too long for the file system stands for a disk that refuses.
    blob = gzip.compress(layer_tar({"n" * 300: CONTENT}), 1)
    stream = Stream(blob, blob)
    with pytest.raises(ArchiveError, match="too long"):
        unpack_verified(stream, target, None)
    assert not stream.finished

"""Blobs are what their name says, or are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.blobs import BlobStore, CorruptBlob
from engine.digests import sha256
from engine.errors import SourceError
from engine.state import State


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(State.open(tmp_path))


def test_what_is_put_can_be_read(store: BlobStore) -> None:
    digest = store.put(b"hello")
    assert digest == sha256(b"hello")
    assert store.size(digest) == 5
    assert store.read(digest, 5) == b"hello"
    with store.open(digest) as file:
        assert file.read(2) + file.read() == b"hello"


def test_a_blob_that_is_not_what_was_announced_is_not_kept(store: BlobStore, tmp_path: Path) -> None:
    for digest, size in ((sha256(b"other"), 5), (sha256(b"hello"), 6)):
        with store.writer() as writer:
            writer.write(b"hello")
            with pytest.raises(CorruptBlob):
                writer.commit(digest, size)
    assert not store.has(sha256(b"hello"))
    assert not list((tmp_path / "work").iterdir())


def test_what_is_not_committed_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    with store.writer() as writer:
        writer.write(b"half")
    assert not list((tmp_path / "work").iterdir())


def test_a_blob_that_has_rotted_is_noticed_and_taken_away(store: BlobStore) -> None:
    digest = store.put(b"hello")
    store.path(digest).chmod(0o600)
    store.path(digest).write_bytes(b"jello")
    with pytest.raises(CorruptBlob, match="damaged"):
        store.read(digest, 10)
    assert not store.has(digest)
    with pytest.raises(SourceError, match="not in the store"):
        store.read(digest, 10)


def test_a_blob_cut_short_or_deleted_is_not_there(store: BlobStore) -> None:
    short, gone = store.put(b"hello"), store.put(b"there")
    store.path(short).chmod(0o600)
    store.path(short).write_bytes(b"hell")
    store.path(gone).unlink()
    assert not store.has(short)
    assert not store.has(gone)
    assert not store.path(short).exists()


def test_a_blob_bigger_than_allowed_is_not_read(store: BlobStore) -> None:
    with pytest.raises(SourceError, match="bigger than the 4 bytes"):
        store.read(store.put(b"hello"), 4)

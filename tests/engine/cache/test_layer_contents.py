"""Layers that nobody has read so far are compared with their blobs; what a blob cannot prove condemns no layer."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from engine.archive.unpack import unpack_layer
from engine.blobs import BlobStore
from engine.cache.layer_contents import look_at_layers
from engine.cache.packed_contents import as_packed
from engine.cache.repair import Depth, Kind, examine, mend
from engine.snapshots.store import SnapshotStore
from engine.state import State
from tests.support.in_process import Workplace


def rot(file: Path, content: bytes) -> None:
    """Other bytes, as a disk may have them one day: neither size nor time tells of it."""
    before = file.stat()
    assert before.st_size == len(content)
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A project whose image was written once."""
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("Dockerfile", "FROM scratch\nCOPY one /one\nCOPY two /two\n")
    place.write("one", "one\n")
    place.write("two", "two\n")
    place.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=oci,dest=image.tar"]}}}))
    place.build_well()
    return place


def layer_file(root: Path, name: str) -> Path:
    (found,) = (root / "layers").glob(f"*/fs/{name}")
    return found


def test_rot_in_a_layer_that_was_exported_shows_at_first_sight_and_is_put_right(place: Workplace) -> None:
    rot(layer_file(place.root, "one"), b"onE\n")
    assert examine(place.root) == []
    found = examine(place.root, Depth.DEEP)
    assert [(finding.kind, finding.text) for finding in found] == [
        (Kind.CONTENT, "files of 1 layers are not as they were")
    ]
    mend(place.root, found)
    again = place.build_well(overrides=("*.output=type=local,dest=out",))
    assert again.ran == ["COPY one /one", "COPY two /two"], "what lies on it was made upon it"
    assert (place.folder / "out" / "one").read_text() == "one\n"


def test_what_was_exported_is_known_at_first_sight(place: Workplace) -> None:
    assert examine(place.root, Depth.DEEP) == []


@pytest.mark.parametrize("harm", ["gone", "rotten", "cut short"])
def test_a_blob_that_proves_nothing_condemns_no_layer(place: Workplace, harm: str) -> None:
    rot(layer_file(place.root, "one"), b"onE\n")
    for blob in (place.root / "blobs" / "sha256").iterdir():
        if harm == "gone":
            blob.unlink()
        else:
            data = blob.read_bytes()
            blob.chmod(0o600)
            blob.write_bytes(data[:-9] if harm == "cut short" else data[:-1] + bytes([data[-1] ^ 1]))
    found = examine(place.root, Depth.DEEP)
    assert found[0].kind is Kind.UNREAD
    assert found[0].text.startswith("2 of 2 were read for the first time")
    assert Kind.CONTENT not in [finding.kind for finding in found]


def archive() -> bytes:
    """A layer as others may write it: a name twice, a way through a link, a link to a file, dots, a whiteout."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", link: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mtime, info.mode = kind, len(data), link, 1_700_000_000, 0o755
            tar.addfile(info, io.BytesIO(data))

        add("./etc", tarfile.DIRTYPE)
        add("./etc/name", data=b"first")
        add("etc/name", data=b"second")
        add("way", tarfile.SYMTYPE, link="etc")
        add("way/through", data=b"through")
        add("etc/other", tarfile.LNKTYPE, link="etc/name")
        add("etc/.wh.gone")
        add("../outside", data=b"inside")
    return out.getvalue()


def test_a_layer_of_an_image_is_compared_with_its_blob(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"out of the root")
    state = State.open(tmp_path / "root")
    snapshots = SnapshotStore(state)
    with snapshots.coming_layer() as new:
        unpack_layer(io.BytesIO(archive()), new.path)
        (layer,) = new.commit("layer of an image").layers
    digest = BlobStore(state).put(gzip.compress(archive(), mtime=0))
    state.write("INSERT INTO layer_blobs (layer, digest, media_type, size) VALUES (?, ?, 'x', 1)", layer, digest)
    folder = state.layers / layer / "fs"
    assert as_packed(state, layer) is True
    assert look_at_layers(state, deep=True).new == 0
    for name, right, wrong in (("etc/name", b"second", b"sEcond"), ("outside", b"inside", b"insidE")):
        rot(folder / name, wrong)
        assert as_packed(state, layer) is False
        assert look_at_layers(state, deep=True).changed == (layer,)
        rot(folder / name, right)
        assert as_packed(state, layer) is True
    (folder / "way").unlink()
    (folder / "way").symlink_to("/etc")
    assert as_packed(state, layer) is False, "a link leads elsewhere"
    snapshots.close()
    state.close()

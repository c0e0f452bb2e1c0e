"""Images of OCI layouts, as folders and as tars."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.images import layer_tar, write_layout

from engine.errors import SourceError
from engine.llb.ops import Platform
from engine.sources.oci_layout import Layout

if TYPE_CHECKING:
    from conftest import Workbench

AMD64 = Platform("amd64", "linux")
LAYER = layer_tar({"hello": b"world"})


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return write_layout(tmp_path / "layout", [LAYER], tag="v1", architectures=("amd64", "arm64"))


def test_a_folder_and_a_tar_of_it_are_the_same(bench: Workbench, layout: Path, tmp_path: Path) -> None:
    tar = tmp_path / "layout.tar"
    subprocess.run(["tar", "-C", layout, "-cf", tar, "."], check=True)
    digest = Layout(layout).find("x:v1").digest
    for path in (layout, tar):
        bench.folders["session"] = path
        attrs = {"oci.session": "session", "oci.store": "x"}
        resolved = bench.resolve(f"oci-layout://docker.io/library/x@{digest}", attrs, AMD64)
        assert resolved.pin == digest
        tree = bench.files(f"oci-layout://docker.io/library/x@{digest}", attrs, AMD64)
        assert tree.open("/hello").read() == b"world"


def test_an_image_is_found_by_tag_by_digest_and_as_the_only_one(layout: Path) -> None:
    opened = Layout(layout)
    found = opened.find("x:v1")
    assert opened.find(f"x@{found.digest}") == found
    assert opened.find("x") == found
    with pytest.raises(SourceError, match='has no image "v2"') as caught:
        opened.find("x:v2")
    assert "it has: v1" in caught.value.hint


def test_what_is_no_layout_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "no OCI layout"), (tmp_path / "none", "no OCI layout"), (Path(__file__), "neither")):
        with pytest.raises(SourceError, match=said):
            Layout(path)


def test_a_damaged_blob_is_noticed(bench: Workbench, layout: Path) -> None:
    digest = Layout(layout).find("x:v1").digest
    bench.folders["x"] = layout
    for path in (layout / "blobs/sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(path.read_bytes()[:-4] + b"oops")
    with pytest.raises(SourceError, match="damaged"):
        bench.files(f"oci-layout://x@{digest}", {"oci.store": "x"}, AMD64)
    assert bench.leftovers() == []

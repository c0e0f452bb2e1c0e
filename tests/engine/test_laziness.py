"""What is known is not touched: nothing is fetched, unpacked, mounted or started for it, and bases count by content."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest
from support.images import write_layout
from support.in_process import Workplace

from engine.digests import sha256

BAKE = """
target "default" {
  contexts = { base = "oci-layout://base" }
  output   = ["type=cacheonly"]
}
"""


def layer(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", BAKE)
    place.write("Dockerfile", "FROM base\nCOPY file /new/file\nCOPY --from=base /old /copy\n")
    place.write("file", "content")
    write_layout(place.folder / "base", [layer(old="old"), layer(other="other")])
    return place


def unpacked(place: Workplace) -> set[str]:
    """The layers that lie on the disk."""
    return {path.name for path in (place.root / "layers").iterdir()}


def without_base(place: Workplace) -> set[str]:
    """Takes the layers of the base away, as garbage collection may; the others are left."""
    with sqlite3.connect(place.root / "state.db") as database:
        fetched = {row[0] for row in database.execute("SELECT layer FROM layer_blobs WHERE origin != ''")}
        for name in fetched:
            database.execute("UPDATE layers SET unpacked = 0, size = 0 WHERE id = ?", (name,))
            shutil.rmtree(place.root / "layers" / name)
    assert fetched
    return fetched


def recompressed(layout: Path) -> None:
    """Writes the layers anew with another compression: other blobs and another manifest, the same layers."""
    blobs = layout / "blobs/sha256"
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].partition(":")[2]).read_bytes())
    for each in manifest["layers"]:
        data = gzip.compress(gzip.decompress((blobs / each["digest"].partition(":")[2]).read_bytes()), 9, mtime=1)
        each |= {"digest": sha256(data), "size": len(data)}
        (blobs / each["digest"].partition(":")[2]).write_bytes(data)
    data = json.dumps(manifest).encode()
    index["manifests"][0] |= {"digest": sha256(data), "size": len(data)}
    (blobs / sha256(data).partition(":")[2]).write_bytes(data)
    (layout / "index.json").write_text(json.dumps(index))


def test_a_known_result_needs_no_base(place: Workplace) -> None:
    place.build_well()
    gone = without_base(place)
    again = place.build_well()
    assert again.ran == []
    assert not unpacked(place) & gone
    assert not [name for name in again.started if not name.startswith(("[internal]", "keeping"))]


def test_a_base_is_fetched_when_something_reads_it_and_only_then(place: Workplace) -> None:
    place.build_well()
    gone = without_base(place)
    place.write("file", "changed")
    assert place.build_well().ran == ["COPY --from=base /old /copy", "COPY file /new/file"]
    assert unpacked(place) & gone, "the COPY looks into its base"


def test_a_link_copy_leaves_its_base_where_it_is(place: Workplace) -> None:
    place.write("Dockerfile", "FROM base\nCOPY --link file /new/file\n")
    built = place.build_well()
    with sqlite3.connect(place.root / "state.db") as database:
        assert database.execute("SELECT count(*) FROM layers WHERE unpacked = 0").fetchone() == (2,)
    assert "COPY file /new/file" not in built.ran
    assert len(unpacked(place)) == 1


def test_a_base_under_another_compression_and_name_is_the_same(place: Workplace) -> None:
    place.build_well()
    recompressed(place.folder / "base")
    assert place.build_well().ran == []
    (place.folder / "base").rename(place.folder / "moved")
    place.write("docker-bake.hcl", BAKE.replace("oci-layout://base", "oci-layout://moved"))
    assert place.build_well().ran == []


def test_another_base_is_another_build_and_says_which(place: Workplace) -> None:
    place.build_well()
    shutil.rmtree(place.folder / "base")
    write_layout(place.folder / "base", [layer(old="new"), layer(other="other")])
    built = place.build_well()
    first = built.reason("COPY file")
    assert first.cause == "base"
    (change,) = first.changes
    assert change.before != change.after
    assert str(change.after).startswith("sha256:")


def test_content_that_a_new_base_does_not_change_is_known(place: Workplace) -> None:
    place.write("Dockerfile", "FROM base AS deps\nFROM scratch\nCOPY --from=deps /old /old\nCOPY file /\n")
    place.build_well()
    shutil.rmtree(place.folder / "base")
    write_layout(place.folder / "base", [layer(old="old"), layer(other="quite another")])
    assert place.build_well().ran == [], "only /old counts, and it is as it was"


def test_stages_that_are_to_be_built_anew_are_and_the_others_are_not(place: Workplace) -> None:
    place.write(
        "Dockerfile",
        "FROM scratch AS one\nCOPY file /one\nFROM scratch AS two\nCOPY file /two\n"
        "FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n",
    )
    place.build_well()
    built = place.build_well(overrides=("default.no-cache-filter=two",))
    assert built.ran == ["COPY file /two"], "what comes after is known by its content"
    assert place.build_well(no_cache=True).ran == [
        "COPY --from=one /one /",
        "COPY --from=two /two /",
        "COPY file /one",
        "COPY file /two",
    ]
    assert place.build_well().ran == []

"""Layers of COPY and ADD are BuildKit's, byte for byte, with SOURCE_DATE_EPOCH and rewrite-timestamp.

The diff IDs in tests/data/layer_diff_ids.json were recorded from BuildKit (2026-08) for the files that `context` makes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

RECORDED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data/layer_diff_ids.json").read_text())
EPOCH = "1700000000"
OLD = 1_000_000_000


def context(folder: Path) -> None:
    """Files with all that can go wrong in a layer: modes, links, times, names, holes, archives."""
    for path, text, mode in (
        ("a.txt", "a\n", 0o644),
        ("b.txt", "b\n", 0o600),
        ("run.sh", "#!/bin/sh\n", 0o755),
        ("suid", "s", 0o4755),
        ("tree/e/f.txt", "f", 0o644),
        ("tree/e/g.md", "g", 0o644),
        ("tree/h.txt", "h", 0o640),
        ("ünïcode/ñ.txt", "u", 0o644),
        ("sp ace/x y.txt", "s", 0o644),
        ("long/" + "n" * 120 + "/" + "m" * 150 + ".txt", "l", 0o644),
        ("cut/" + "/".join(f"folder-{n:02}" for n in range(20)) + "/leaf", "l", 0o644),
        ("bare/inner/.keep", "", 0o644),
    ):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
    for path, target in (("link", "a.txt"), ("abs", "/etc/passwd"), ("dlink", "tree/e"), ("broken", "nowhere")):
        (folder / path).symlink_to(target)
    (folder / "hard").hardlink_to(folder / "a.txt")
    with (folder / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    for path in ("sparse", "hard"):
        (folder / path).chmod(0o644)
    for name in ("plain.tar", "packed.tar.gz"):
        _archive(folder / name)
    with tarfile.open(folder / "passing.tar", "w") as tar:  # through folders that it does not mention
        member = tarfile.TarInfo("over/there/file")
        member.mtime, member.uid = OLD, 7
        tar.addfile(member)
    (folder / "passing.tar").chmod(0o644)
    for file in sorted(folder.rglob("*"), reverse=True):
        if file.is_dir():
            file.chmod(0o755)
    (folder / "bare").chmod(0o1777)
    (folder / "tree").chmod(0o700)
    os.utime(folder / "tree/e/f.txt", (OLD, OLD))
    os.utime(folder / "tree", (OLD, OLD + 0.75))


def _archive(path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, link, mode in (
            ("r", tarfile.DIRTYPE, "", 0o750),
            ("r/one", tarfile.REGTYPE, "", 0o640),
            ("r/two", tarfile.REGTYPE, "", 0o4711),
            ("r/soft", tarfile.SYMTYPE, "one", 0o777),
            ("r/hard", tarfile.LNKTYPE, "r/one", 0o640),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, link, mode
            member.mtime, member.uid, member.gid, member.uname = 1_500_000_000, 5, 6, "someone"
            if kind == tarfile.LNKTYPE:  # what a link says last holds for the file
                member.uid, member.mode, member.mtime = 9, 0o604, OLD
            member.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"abc") if member.size else None)
    # Level 0, so that the bytes are the same whatever compresses.
    packed = path.suffix == ".gz"
    path.write_bytes(gzip.compress(data.getvalue(), compresslevel=0, mtime=0) if packed else data.getvalue())
    path.chmod(0o644)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, built by one call."""
    folder = tmp_path_factory.mktemp("layers")
    (folder / "files").mkdir()
    context(folder / "files")
    targets = {
        name: {
            "context": "files",
            "dockerfile-inline": case["dockerfile"],
            "args": {"SOURCE_DATE_EPOCH": EPOCH},
            "output": [f"type=oci,dest={name},tar=false,rewrite-timestamp=true"],
        }
        for name, case in RECORDED.items()
    }
    bake = {"group": {"default": {"targets": list(targets)}}, "target": targets}
    (folder / "docker-bake.json").write_text(json.dumps(bake))
    command = [sys.executable, "-m", "bakery.cli.main", "build", "--root", f"{folder}-root", "--progress=plain"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def document(layout: Path, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_text())
    return found


@pytest.mark.parametrize("name", RECORDED)
def test_layers_have_the_recorded_diff_ids(name: str, images: Path) -> None:
    layout = images / name
    manifest = json.loads((layout / "index.json").read_text())
    while "manifests" in manifest:
        manifest = document(layout, manifest["manifests"][0]["digest"])
    config = document(layout, manifest["config"]["digest"])
    assert config["rootfs"]["diff_ids"] == RECORDED[name]["diff_ids"]

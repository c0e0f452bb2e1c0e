"""`combine`: one image of targets that have Dockerfiles of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FILE = """
target "app" {
  combine = ["intel", "arm"]
  tags = ["app:1"]
  output = ["type=oci,dest=app,tar=false", "type=local,dest=files"]
}
target "intel" {
  dockerfile-inline = "FROM scratch\\nCOPY a /intel"
  platforms = ["linux/amd64"]
}
target "arm" {
  dockerfile-inline = "FROM scratch\\nCOPY a /arm\\nLABEL arm=yes"
  platforms = ["linux/arm64", "linux/arm/v7"]
}
"""


def bakery(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bakery.cli.main", *arguments],
        cwd=folder,
        env=os.environ | {"BAKERY_ROOT": str(folder / "root")},
        capture_output=True,
        text=True,
    )


def project(folder: Path, text: str = FILE) -> Path:
    (folder / "bakery.hcl").write_text(text)
    (folder / "a").write_text("a")
    return folder


def test_one_index_of_several_dockerfiles(tmp_path: Path) -> None:
    done = bakery(project(tmp_path), "build", "app", "--progress", "quiet", "--allow", "fs.write=.")
    assert done.returncode == 0, done.stderr
    shown = json.loads(bakery(tmp_path, "images", "inspect", "oci:app:1", "--format", "json").stdout)
    assert [image["platform"] for image in shown["images"]] == ["linux/amd64", "linux/arm64", "linux/arm/v7"]
    assert [image["config"]["config"].get("Labels") for image in shown["images"]] == [
        None,
        {"arm": "yes"},
        {"arm": "yes"},
    ]
    files = sorted(
        str(path.relative_to(tmp_path / "files")) for path in (tmp_path / "files").rglob("*") if path.is_file()
    )
    assert files == ["linux_amd64/intel", "linux_arm64/arm", "linux_arm_v7/arm"]


def test_it_is_printed(tmp_path: Path) -> None:
    shown = json.loads(bakery(project(tmp_path), "build", "app", "--print").stdout)["target"]
    assert shown["app"]["combine"] == ["intel", "arm"]
    assert shown["arm"]["output"] == [{"type": "cacheonly"}]


def test_the_same_platform_twice(tmp_path: Path) -> None:
    done = bakery(
        project(tmp_path, FILE.replace("linux/arm/v7", "linux/amd64")), "build", "app", "--allow", "fs.write=."
    )
    assert done.returncode == 1
    assert "cannot combine intel and arm: both are for linux/amd64" in done.stderr


def test_a_target_that_is_not_there_and_a_circle(tmp_path: Path) -> None:
    done = bakery(project(tmp_path, FILE.replace('"arm"]', '"arn"]')), "build", "app", "--print")
    assert done.returncode == 1
    assert "arn" in done.stderr
    done = bakery(project(tmp_path, FILE.replace('"intel", "arm"', '"app"')), "build", "app", "--print")
    assert done.returncode == 1
    assert "cannot link to itself" in done.stderr

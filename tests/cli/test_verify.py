"""`bakery verify`: steps that give the same twice, and the first thing that shows that one does not."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.images import write_layout

BUSYBOX = Path("/bin/busybox")
FILE = """
target "default" {
  contexts = { base = "oci-layout://base" }
}
target "other" {
  inherits = ["default"]
}
"""
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not BUSYBOX.exists() or os.geteuid() != 0, reason="needs busybox-static and root"),
]


def verify(folder: Path, steps: str, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "Dockerfile").write_text(f"FROM base\n{steps}\n")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(BUSYBOX.resolve(), "bin/sh")
    write_layout(folder / "base", [out.getvalue()])
    (folder / "a").write_text("a")
    (folder / "docker-bake.hcl").write_text(FILE)
    return subprocess.run(
        [sys.executable, "-m", "bakery.cli.main", "verify", *flags],
        cwd=folder,
        env=os.environ | {"BAKERY_ROOT": str(folder / "root")},
        capture_output=True,
        text=True,
    )


def test_a_build_that_gives_the_same_again(tmp_path: Path) -> None:
    done = verify(tmp_path, "COPY a /a\nRUN echo fixed > /b", "default", "other")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["default", "other"]
    assert all("the same again, sha256:" in line for line in lines)


def test_a_step_that_does_not(tmp_path: Path) -> None:
    done = verify(tmp_path, "COPY a /a\nRUN read x < /proc/sys/kernel/random/uuid; echo $x > /b", "--format", "json")
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["layer"] == 3
    assert "RUN read x" in found["step"]
    assert found["difference"] == "file /b: changed (content)"


def test_times_count_when_they_are_to(tmp_path: Path) -> None:
    done = verify(tmp_path, "RUN echo fixed > /b", "--times")
    assert done.returncode == 1, done.stderr
    assert "config created" in done.stdout or "time" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_cannot_be_built_cannot_be_verified(tmp_path: Path) -> None:
    done = verify(tmp_path, "RUN exit 7")
    assert done.returncode == 1
    assert "exit code: 7" in done.stderr
    assert "Traceback" not in done.stderr

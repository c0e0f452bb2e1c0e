"""A folder to work in, and busybox as an OCI layout in it."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.images import busybox_layout
from support.program import REPOSITORY, Program


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of busybox."""
    return busybox_layout(tmp_path_factory.mktemp("busybox") / "layout")


@pytest.fixture(scope="session")
def debian() -> Path:
    """An OCI layout of Debian, made once for all processes that run tests here."""
    if shutil.which("debootstrap") is None:
        pytest.skip("needs debootstrap")
    with Path(tempfile.gettempdir(), "bakery-tests-debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([REPOSITORY / "scripts/base-image", "debian"], check=True)
    return REPOSITORY / "examples/monorepo/.base"


@pytest.fixture
def program(tmp_path: Path, busybox: Path) -> Program:
    """`bakery` in an empty folder, where `oci-layout://base` is busybox."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(busybox, folder / "base")
    return Program(folder, tmp_path / "root")

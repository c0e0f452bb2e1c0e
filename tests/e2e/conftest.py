"""A folder to work in, and busybox as an OCI layout in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.images import busybox_layout
from support.program import Program


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of busybox."""
    return busybox_layout(tmp_path_factory.mktemp("busybox") / "layout")


@pytest.fixture
def program(tmp_path: Path, busybox: Path) -> Program:
    """`bakery` in an empty folder, where `oci-layout://base` is busybox."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(busybox, folder / "base")
    return Program(folder, tmp_path / "root")

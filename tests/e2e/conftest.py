"""A folder to work in, and busybox as an OCI layout in it."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.images import write_layout
from support.program import Program


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of busybox, from the machine's static binary."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("needs busybox-static")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        tar.add(program, "bin/busybox", filter=_of_root)
        for applet in applets:
            if applet != "busybox":
                info = tarfile.TarInfo(f"bin/{applet}")
                info.type, info.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(info)
        passwd = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
        info = tarfile.TarInfo("etc/passwd")
        info.size = len(passwd)
        tar.addfile(info, io.BytesIO(passwd))
    return write_layout(tmp_path_factory.mktemp("busybox") / "layout", [out.getvalue()])


def _of_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.mode = 0o755
    return info


@pytest.fixture
def program(tmp_path: Path, busybox: Path) -> Program:
    """`bakery` in an empty folder, where `oci-layout://base` is busybox."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(busybox, folder / "base")
    return Program(folder, tmp_path / "root")

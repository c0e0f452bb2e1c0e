"""Every command in README and docs is run, in the order of its page and with the files that the page shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.pages import SHELLS, blocks
from support.images import busybox_layout, skopeo_copy
from support.program import REPOSITORY
from support.registry_server import registry_server

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
IN = "in "


def name(page: Path) -> str:
    return page.stem


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry with busybox, to stand in for Docker Hub."""
    folder = tmp_path_factory.mktemp("hub")
    with registry_server(folder / "registry") as server:
        layout = busybox_layout(folder / "busybox", architectures=("amd64", "arm64"))
        skopeo_copy(f"oci:{layout}:latest", f"docker://{server.host}/library/busybox:latest")
        yield server.host


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_says_whether_it_is_run(page: Path) -> None:
    for block in blocks(page):
        if block.language in SHELLS:
            known = block.what == "run" or block.what.startswith(("run in ", "not run: "))
            assert known, f"{page.name}:{block.line}: no comment says whether this is run"


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.parametrize("page", [p for p in PAGES if any(b.what.startswith("run") for b in blocks(p))], ids=name)
def test_the_commands_of(page: Path, hub: str, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "bakery").write_text(f'#!/bin/sh\nexec {sys.executable} -m bakery.cli.main "$@"\n')
    (tools / "bakery").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "BAKERY_ROOT": str(tmp_path / "root"),
        "BAKERY_REGISTRY_MIRRORS": f"docker.io={hub}",
        "NO_COLOR": "1",
    }
    folder = tmp_path / "work"
    folder.mkdir()
    for block in blocks(page):
        if block.what.startswith("file: "):
            (folder / block.what.removeprefix("file: ")).write_text(block.text)
        elif block.what.startswith("run in "):
            example = REPOSITORY / block.what.removeprefix("run in ")
            shutil.copytree(example, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out", ".base"))
        if block.what.startswith("run"):
            script = ["bash", "-euo", "pipefail", "-c", block.text]
            ran = subprocess.run(script, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
            assert ran.returncode == 0, f"{page.name}:{block.line}\n{ran.stdout}\n{ran.stderr}"

"""The examples of the repository: hello with busybox, and the monorepo with real apt, pip and npm steps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.program import REPOSITORY, Program

pytestmark = [pytest.mark.slow, pytest.mark.root]

IGNORED = shutil.ignore_patterns("out", ".base")


def test_hello_builds_with_nothing_but_busybox(tmp_path: Path, busybox: Path) -> None:
    folder = tmp_path / "hello"
    shutil.copytree(REPOSITORY / "examples/hello", folder, ignore=IGNORED)
    shutil.copytree(busybox, folder / ".base")
    program = Program(folder, tmp_path / "root", {"WHO": "tests"})
    first = program.build()
    assert (folder / "out/shout/GREETING").read_text() == "HELLO, TESTS!\n"
    assert first.ran_times("RUN echo") == 1
    assert program.build().ran == []


@pytest.mark.network
def test_the_monorepo(tmp_path: Path, debian: Path) -> None:
    folder = tmp_path / "monorepo"
    shutil.copytree(REPOSITORY / "examples/monorepo", folder, ignore=IGNORED)
    (folder / ".base").symlink_to(debian)
    program = Program(folder, tmp_path / "root", _mirrors())

    first = program.build("--allow", f"fs.read={debian}")
    assert first.ran_times("apt-get install -y --no-install-recommends ca-certificates make") == 1, "tools are shared"
    assert first.ran_times("COPY build.mjs") == 1, "web is linked by the site, and wanted by itself"
    assert "<h1" in (folder / "out/docs/index.html").read_text()
    assert (folder / "out/web/app.js").exists()
    for image in ("cli", "api", "ingest", "site"):
        command = ["skopeo", "--insecure-policy", "inspect", f"oci-archive:{folder}/out/{image}.tar"]
        subprocess.run(command, check=True, capture_output=True)

    second = program.build("--allow", f"fs.read={debian}")
    assert second.ran == []


def _mirrors() -> dict[str, str]:
    """The mirrors that this machine's package managers are configured for."""
    found = {}
    for name, command in {
        "PIP_INDEX_URL": ["pip", "config", "get", "global.index-url"],
        "NPM_CONFIG_REGISTRY": ["npm", "config", "get", "registry"],
    }.items():
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True).stdout.strip()
            if said.startswith("http"):
                found[name] = said
    return found

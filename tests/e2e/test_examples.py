"""The examples of the repository: hello with busybox, and the monorepo with real apt, pip and npm steps."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.ordinary_user import UID, ordinary_user
from support.program import REPOSITORY, Program, Run

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

    # One line of the Go service: with its cache that package is compiled again, without it what it imports as well.
    assert len(compiled(first)) > 100
    source, dockerfile = folder / "ingest/main.go", folder / "ingest/Dockerfile"
    source.write_text(source.read_text().replace("is not a number", "is no number"))
    (folder / "ingest/main_test.go").unlink()
    assert compiled(program.build("ingest", "--allow", f"fs.read={debian}")) == ["example.test/ingest"]
    dockerfile.write_text(dockerfile.read_text().replace("--mount=type=cache,target=/root/.cache/go-build", ""))
    assert len(compiled(program.build("ingest", "--allow", f"fs.read={debian}"))) > 100


@pytest.mark.network
def test_an_ordinary_user_builds_the_monorepos_site(debian: Path) -> None:
    """And what it is linked with: apt, pip and npm as somebody with sub-ids, and a server that tries its settings."""
    with ordinary_user(sub_ids=True) as someone:
        folder = someone.folder
        shutil.copytree(REPOSITORY / "examples/monorepo", folder, ignore=IGNORED, dirs_exist_ok=True)
        shutil.copytree(debian, folder / ".base")
        subprocess.run(["chown", "-R", f"{UID}:{UID}", folder], check=True)
        someone.environ |= _mirrors()
        built = someone.bakery("build", "--progress=plain", "site")
        assert built.returncode == 0, built.stderr
        assert "test is successful" in built.stderr
        with tarfile.open(folder / "out/site.tar") as image:
            assert "index.json" in image.getnames()


def compiled(run: Run) -> list[str]:
    """The Go packages that a build compiled for the program, as `go build -v` says."""
    said = b""
    for line in run.err.splitlines():
        if line.startswith("{"):
            said += b"".join(base64.b64decode(log["data"]) for log in json.loads(line).get("logs") or ())
    return [line for line in said.decode().splitlines() if re.fullmatch(r"[a-z0-9]+(\.test)?(/[a-zA-Z0-9_.]+)*", line)]


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

"""`dockerfile = "-"`: the Dockerfile is standard input, read once, and never where the bake file comes that way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BAKE = """
group "default" { targets = ["app", "web"] }
target "app" { dockerfile = "-" }
target "web" { inherits = ["app"] }
target "file" {}
target "text" { dockerfile-inline = "FROM scratch" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    return tmp_path


def bakery(project: Path, command: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bakery.cli.main", command, *arguments]
    done = subprocess.run(line, cwd=project, input=given, capture_output=True)
    return subprocess.CompletedProcess(line, done.returncode, done.stdout.decode(), done.stderr.decode())


def printed(project: Path, *arguments: str, given: bytes = b"") -> dict[str, dict[str, str]]:
    done = bakery(project, "build", "--print", *arguments, given=given)
    assert done.returncode == 0, done.stderr
    targets: dict[str, dict[str, str]] = json.loads(done.stdout)["target"]
    return targets


def test_every_target_that_asks_for_it_has_the_text(project: Path) -> None:
    texts = {name: target["dockerfile-inline"] for name, target in printed(project, given=b"FROM scratch\n").items()}
    assert texts == {"app": "FROM scratch\n", "web": "FROM scratch\n"}


def test_an_override_can_ask_for_it(project: Path) -> None:
    target = printed(project, "file", "--set", "file.dockerfile=-", given=b"FROM x\n")["file"]
    assert target["dockerfile-inline"] == "FROM x\n"


def test_it_is_not_touched_for_others(project: Path) -> None:
    assert "dockerfile-inline" not in printed(project, "file", given=b"FROM x\n")["file"]
    target = printed(project, "text", "--set", "text.dockerfile=-", given=b"FROM x\n")["text"]
    assert target["dockerfile-inline"] == "FROM scratch"


def test_it_is_lowered_like_a_file(project: Path) -> None:
    done = bakery(project, "llb", "--root", f"{project}-root", given=b"FROM scratch\nCOPY docker-bake.hcl /here\n")
    assert done.returncode == 0, done.stderr
    assert '"/here"' in done.stdout


def test_a_fault_in_it_has_its_line(project: Path) -> None:
    done = bakery(project, "llb", "app", "--root", f"{project}-root", given=b"FROM scratch\nCOPPY a /\n")
    assert done.returncode == 1
    assert "   2 | >>> COPPY a /" in done.stderr
    assert "did you mean COPY?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (("app",), b"", 'docker-bake.hcl:3,29-32: target app: dockerfile is "-", and standard input is empty'),
        (("-f", "-", "app"), BAKE.encode(), "standard input is the bake file already (-f -)"),
        (("app", "--set", "app.context=-"), b"FROM scratch\n", "context from stdin not allowed in bake"),
    ],
)
def test_what_cannot_be_says_what_to_do(project: Path, arguments: tuple[str, ...], given: bytes, message: str) -> None:
    done = bakery(project, "build", *arguments, given=given)
    assert done.returncode == 1
    assert message in done.stderr
    assert "hint: " in done.stderr


def test_a_closed_standard_input_is_an_empty_one(project: Path) -> None:
    line = 'exec "$0" -m bakery.cli.main build app <&-'
    done = subprocess.run(["sh", "-c", line, sys.executable], cwd=project, capture_output=True, text=True)
    assert "standard input is empty" in done.stderr

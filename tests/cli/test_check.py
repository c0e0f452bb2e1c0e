"""`bakery check` finds what is wrong with bake files and Dockerfiles, and builds nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BAKE = """
target "app" {
  dockerfile = "app.Dockerfile"
  args = { VERSON = "1", SOURCE_DATE_EPOCH = "0", HTTP_PROXY = "x" }
  secret = ["id=tokn,env=HOME"]
  contexts = { base = "docker-image://scratch", bse = "." }
  tags = ["app:1"]
}
target "web" {
  dockerfile-inline = <<-END
    FROM scratch
    COPY *.none /x/
  END
  tags = ["app:1"]
}
"""
DOCKERFILE = """FROM base AS one
ARG VERSION
RUN --mount=type=secret,id=token,required true
FROM scratch
WORKDIR x
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    (tmp_path / "app.Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def check(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bakery.cli.main", "check", "--root", f"{project}-root", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def found(project: Path, *arguments: str) -> list[tuple[str, str, int]]:
    findings: list[dict[str, Any]] = json.loads(check(project, "--format=json", *arguments).stdout)["findings"]
    return [(one["rule"], one.get("file", ""), one.get("line", 0)) for one in findings]


def test_all_targets_are_checked_against_what_the_bake_file_gives_them(project: Path) -> None:
    assert found(project) == [
        ("WorkdirRelativePath", "app.Dockerfile", 5),
        ("UnusedArg", "docker-bake.hcl", 4),
        ("UnusedSecret", "docker-bake.hcl", 5),
        ("MissingSecret", "docker-bake.hcl", 5),
        ("UnusedContext", "docker-bake.hcl", 6),
        ("WildcardMatchesNothing", "docker-bake.hcl", 12),
        ("SharedTag", "docker-bake.hcl", 14),
    ]
    assert found(project, "web") == [("WildcardMatchesNothing", "docker-bake.hcl", 12)]


def test_only_errors_fail_unless_warnings_are_to(project: Path) -> None:
    assert check(project).returncode == 0
    assert check(project, "--fail-on", "warning").returncode == 1
    (project / "app.Dockerfile").write_text("FROM scratch\nWORKDIRR /\n")
    done = check(project)
    assert done.returncode == 1
    assert "ERROR: BuildError\ndockerfile parse error on line 2: unknown instruction: WORKDIRR" in done.stdout
    assert done.stdout.endswith("Check complete, 1 error and 2 warnings found.\n")


def test_a_bake_file_that_cannot_be_read_is_a_finding(project: Path) -> None:
    (project / "docker-bake.hcl").write_text('target "app" {\n  context = nope\n}\n')
    done = check(project, "--format=github")
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=docker-bake.hcl,line=2,endLine=2,col=13,")


def test_annotations_are_escaped_lines(project: Path) -> None:
    lines = check(project, "--format=github").stdout.splitlines()
    assert len(lines) == 7
    assert lines[0] == (
        "::warning file=app.Dockerfile,line=5,endLine=5,col=9,endColumn=10,title=WorkdirRelativePath::"
        'Relative workdir "x" can have unexpected results if the base image changes'
    )
    assert lines[1].endswith('%0Adid you mean "VERSION"?')


def test_findings_are_shown_with_their_lines_and_what_was_meant(project: Path) -> None:
    text = check(project, "app").stdout
    assert '   4 | >>>   args = { VERSON = "1", SOURCE_DATE_EPOCH = "0", HTTP_PROXY = "x" }\n' in text
    assert 'hint: did you mean "VERSION"?\n' in text
    assert 'hint: did you mean "base"?\n' in text


def test_a_project_without_faults_is_told_so(project: Path) -> None:
    (project / "docker-bake.hcl").write_text('target "web" { dockerfile-inline = "FROM scratch\\n" }\n')
    done = check(project)
    assert (done.returncode, done.stdout) == (0, "Check complete, nothing found.\n")

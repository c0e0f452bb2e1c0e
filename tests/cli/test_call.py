"""`bakery build --call` asks targets instead of building them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BAKE = """
group "default" { targets = ["app", "web"] }
target "app" {
  description = "the app"
  dockerfile = "app.Dockerfile"
}
target "web" {
  dockerfile-inline = "FROM scratch\\nCOPY . /\\n"
  output = ["type=local,dest=out"]
}
"""
DOCKERFILE = """# app is what we sell
FROM scratch AS app
# COLOUR of it
ARG COLOUR=red
ENV colour $COLOUR
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    (tmp_path / "app.Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def build(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bakery.cli.main", "build", "--root", f"{project}-root", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def test_check_writes_warnings_and_fails(project: Path) -> None:
    done = build(project, "--check")
    assert done.returncode == 1
    assert done.stdout == (
        """app
the app

Check complete, 1 warning has been found!

WARNING: LegacyKeyValueFormat - https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/
"ENV key=value" should be used instead of legacy "ENV key value" format
app.Dockerfile:5
--------------------
   3 |     # COLOUR of it
   4 |     ARG COLOUR=red
   5 | >>> ENV colour $COLOUR
   6 |    \x20
--------------------

web

Check complete, no warnings found.
"""
    )
    assert not (project / "out").exists()
    assert build(project, "--call=check,ignorestatus=true").returncode == 0
    assert build(project, "--check", "web").returncode == 0


def test_outline_and_targets_are_tables(project: Path) -> None:
    assert build(project, "--call=outline", "app").stdout == (
        "app\nthe app\n\nTARGET:      app\nDESCRIPTION: is what we sell\n\n"
        "BUILD ARG   VALUE   DESCRIPTION\nCOLOUR      red     of it\n\n"
    )
    assert build(project, "--call=targets", "app").stdout == (
        "app\nthe app\n\nTARGET        DESCRIPTION\napp (default) is what we sell\n"
    )


def test_json_has_the_answer_beside_the_definition(project: Path) -> None:
    document = json.loads(build(project, "--call=check,format=json").stdout)
    assert document["target"]["app"]["build"]["dockerfile"] == "app.Dockerfile"
    assert [w["ruleName"] for w in document["target"]["app"]["check"]["warnings"]] == ["LegacyKeyValueFormat"]
    assert document["target"]["web"]["check"]["warnings"] == []


def test_a_target_that_is_asked_does_not_keep_others_from_being_built(project: Path) -> None:
    (project / "docker-bake.hcl").write_text(BAKE.replace("description =", 'call = "outline"\n  description ='))
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert "COLOUR      red" in done.stdout
    assert (project / "out" / "app.Dockerfile").exists()


def test_what_a_dockerfile_cannot_be_is_an_answer_too(project: Path) -> None:
    (project / "app.Dockerfile").write_text("FROM scratch\nCOPYY a b\n")
    done = build(project, "--check")
    assert done.returncode == 1
    assert "error: dockerfile parse error on line 2: unknown instruction: COPYY (did you mean COPY?)\n" in done.stdout
    assert "   2 | >>> COPYY a b\n" in done.stdout
    assert "web\n\nCheck complete, no warnings found.\n" in done.stdout


def test_a_call_that_no_target_knows_is_refused(project: Path) -> None:
    (project / "docker-bake.hcl").write_text('target "default" { call = "sing" }\n')
    done = build(project)
    assert done.returncode == 1
    assert "the call 'sing' is not supported" in done.stderr
    assert "docker-bake.hcl:1" in done.stderr


def test_warnings_are_shown_by_a_build_as_well(project: Path) -> None:
    done = build(project, "app", "--progress=plain")
    assert done.returncode == 0, done.stderr
    assert "[internal] load build definition from app.Dockerfile" in done.stderr
    assert 'WARN: LegacyKeyValueFormat: "ENV key=value" should be used' in done.stderr
    assert " 1 warning found" in done.stderr

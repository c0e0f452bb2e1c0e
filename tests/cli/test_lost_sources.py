"""Targets of which something cannot be had: what becomes of the others is what `--on-error` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.program import Program, Run
from support.registry_server import free_port

BAKE = """
group "default" { targets = ["good", "lost", "onto-lost"] }
target "good" {
  dockerfile-inline = "FROM scratch\\nCOPY file /\\n"
  output = ["type=local,dest=out"]
}
target "lost" { dockerfile-inline = "FROM localhost:%d/nobody:1\\nCOPY file /\\n" }
target "onto-lost" {
  contexts = { below = "target:lost" }
  dockerfile-inline = "FROM below\\nCOPY file /again\\n"
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Program:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "docker-bake.hcl").write_text(BAKE % free_port())
    (folder / "file").write_text("content\n")
    return Program(folder, tmp_path / "root")


def build(project: Program, *arguments: str) -> tuple[Run, dict[str, str]]:
    """How a build ended, and each target of it."""
    run = project.run("build", "--metadata-file=meta.json", *arguments)
    meta = project.folder / "meta.json"
    ended = json.loads(meta.read_text()) if meta.exists() else {}
    return run, {name: ended[name]["bakery.outcome"] for name in ended if name in ("good", "lost", "onto-lost")}


def test_others_are_built_and_written(project: Program) -> None:
    run, ended = build(project)
    assert run.code == 1
    assert ended == {"good": "succeeded", "lost": "failed", "onto-lost": "not started"}
    assert (project.folder / "out/file").exists()
    assert "1 | >>> FROM localhost:" in run.err
    assert "ERROR: target lost: failed to solve: localhost:" in run.err
    shown = project.run("history", "show").out
    assert all(words in shown for words in ("lost", "failed", "not started"))


@pytest.mark.parametrize("policy", ["fail-fast", "publish-all-or-nothing"])
def test_others_are_not_begun_where_that_is_not_wanted(project: Program, policy: str) -> None:
    run, ended = build(project, f"--on-error={policy}")
    assert (run.code, ended) == (1, {})
    assert "ERROR: target lost: failed to solve: localhost:" in run.err
    assert not (project.folder / "out").exists()


def test_where_nothing_is_left_the_error_is_all(project: Program) -> None:
    run, ended = build(project, "onto-lost", "lost")
    assert (run.code, ended) == (1, {})
    assert run.err.count("ERROR: target lost: failed to solve: localhost:") == 1


def test_what_is_written_wrong_is_told_before_anything_is_built(project: Program) -> None:
    (project.folder / "docker-bake.hcl").open("a").write('target "wrong" { dockerfile-inline = "FORM scratch" }\n')
    run, ended = build(project, "good", "wrong")
    assert (run.code, ended) == (1, {})
    assert "unknown instruction: FORM (did you mean FROM?)" in run.err
    assert not (project.folder / "out").exists()

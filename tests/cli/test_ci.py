"""`bakery ci`: the targets of a repository as jobs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.git import commit, git
from support.program import Program

BAKE = """
group "default" { targets = ["api", "web"] }
target "base" { dockerfile-inline = "FROM scratch\\nCOPY base /" }
target "api" {
  contexts          = { base = "target:base" }
  dockerfile-inline = "FROM base\\nCOPY api /"
  tags              = ["api:1"]
}
target "web" {
  contexts          = { base = "target:base" }
  dockerfile-inline = "FROM base\\nCOPY web /"
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {"docker-bake.hcl": BAKE, "base": "1", "api": "1", "web": "1"}.items():
        (folder / name).write_text(text)
    return Program(folder, tmp_path / "root")


def waves(program: Program, *arguments: str) -> list[list[str]]:
    run = program.run("ci", "json", *arguments)
    assert run.code == 0, run.err
    return [[job["target"] for job in wave["include"]] for wave in json.loads(run.out)["waves"]]


def test_shared_links_come_first(program: Program) -> None:
    assert waves(program) == [["base"], ["api", "web"]]
    assert waves(program, "--cache", "none") == [["api", "web"]]
    assert waves(program, "web") == [["web"]]


def test_only_what_is_affected(program: Program) -> None:
    git(program.folder, "init", "-q")
    commit(program.folder)
    assert waves(program, "--base", "HEAD") == [[], []]
    (program.folder / "web").write_text("2")
    assert waves(program, "--base", "HEAD") == [["base"], ["web"]]
    (program.folder / "base").write_text("2")
    assert waves(program, "--base", "HEAD") == [["base"], ["api", "web"]]


def test_a_workflow_goes_to_its_file_and_says_how_it_was_written(program: Program) -> None:
    run = program.run("ci", "github", "--var", "SECRET=x", "-o", ".github/workflows/images.yml")
    assert (run.code, run.out) == (0, ".github/workflows/images.yml\n"), run.err
    text = (program.folder / ".github/workflows/images.yml").read_text()
    assert text.startswith("# Written by `bakery ci github --var ")
    assert "SECRET=x" not in text.splitlines()[0]
    assert [*yaml.safe_load(text)["jobs"]] == ["wave-1", "wave-2"]


def test_gitlab_keeps_its_cache_in_the_projects_registry(program: Program) -> None:
    found = yaml.safe_load(program.run("ci", "gitlab", "--push").out)
    assert "ref=$CI_REGISTRY_IMAGE/cache:bakery" in found[".bakery"]["script"][0]
    assert found["build api"]["variables"] == {"TARGET": "api", "PUSH": "true"}
    assert found["build web"]["variables"] == {"TARGET": "web", "PUSH": "false"}


def test_a_matrix_is_one_line(program: Program) -> None:
    run = program.run("ci", "github", "--matrix")
    assert run.out.count("\n") == 1
    assert [row["wave"] for row in json.loads(run.out)["include"]] == [1, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["github", "--cache", "registry"], "needs --cache-ref"),
        (["github", "--affected", "--base", "HEAD"], "leave out --base and --matrix"),
        (["github", "--branch", "a\nb"], "one line"),
        (["json", "https://example.test/repo.git"], "the files of a repository"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: list[str], said: str, program: Program) -> None:
    run = program.run("ci", *arguments)
    assert run.code == 2
    assert said in " ".join(run.err.split())

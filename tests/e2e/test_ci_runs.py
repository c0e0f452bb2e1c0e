"""Workflows that `bakery ci` writes, run: each job on a machine of its own, with a cache in a registry between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.git import commit, git
from support.program import Program
from support.registry_server import registry_server
from support.runner import GitHubRunner, GitLabRunner, Machines

pytestmark = [pytest.mark.slow, pytest.mark.root]

BAKE = """
group "default" { targets = ["api", "web"] }
target "_base" { contexts = { busybox = "oci-layout://base" } }
target "tools" {
  inherits          = ["_base"]
  dockerfile-inline = "FROM busybox\\nCOPY tools /tools\\nRUN echo costly > /made"
}
target "api" {
  contexts          = { tools = "target:tools" }
  dockerfile-inline = "FROM tools\\nCOPY api /api\\nRUN cat /made /api > /all"
  tags              = ["HOST/api:1"]
}
target "web" {
  contexts          = { tools = "target:tools" }
  dockerfile-inline = "FROM tools\\nCOPY web /web"
}
"""
LATER = """
target "last" {
  contexts          = { api = "target:api" }
  dockerfile-inline = "FROM api\\nCOPY web /last"
}
group "default" { targets = ["api", "web", "last"] }
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server.host


@pytest.fixture
def project(program: Program, host: str) -> Program:
    (program.folder / "docker-bake.hcl").write_text(BAKE.replace("HOST", host))
    for name in ("tools", "api", "web"):
        (program.folder / name).write_text("1")
    git(program.folder, "init", "-q")
    commit(program.folder)
    return program


def written(program: Program, *arguments: str) -> str:
    run = program.run("ci", *arguments)
    assert run.code == 0, run.err
    return run.out


def test_later_waves_of_github_find_what_earlier_ones_built(project: Program, host: str, tmp_path: Path) -> None:
    text = written(project, "github", "--push", "--cache", "registry", "--cache-ref", f"{host}/cache:github")
    machines = Machines(project.folder, tmp_path / "github")
    runner = GitHubRunner(machines)
    runner.run(text)
    assert machines.ran == ["tools", "api", "web"]
    # The steps of `tools` are known to both others, and nothing else is.
    assert machines.hits("tools") == (0, 2)
    assert machines.hits("api") == (2, 4)
    assert machines.hits("web") == (2, 3)
    assert "api" in runner.summaries["wave-2-api"]
    assert project.run("images", "inspect", f"{host}/api:1").code == 0

    again = Machines(project.folder, tmp_path / "again")
    GitHubRunner(again, event="pull_request").run(text)
    assert [again.hits(name) for name in again.ran] == [(2, 2), (4, 4), (3, 3)]


def test_a_workflow_that_asks_builds_what_is_affected_and_what_came_later(
    project: Program, host: str, tmp_path: Path
) -> None:
    text = written(project, "github", "--affected", "--cache", "registry", "--cache-ref", f"{host}/cache:asking")
    first = git(project.folder, "rev-parse", "HEAD")
    (project.folder / "web").write_text("2")
    commit(project.folder)
    machines = Machines(project.folder, tmp_path / "affected")
    GitHubRunner(machines, before=first).run(text)
    assert machines.ran == ["tools", "web"]

    everything = Machines(project.folder, tmp_path / "first")
    GitHubRunner(everything, before="0" * 40).run(text)
    assert everything.ran == ["tools", "api", "web"]

    # A third wave has come, for which the workflow has no room: its targets join the second.
    second = git(project.folder, "rev-parse", "HEAD")
    with (project.folder / "docker-bake.hcl").open("a") as file:
        file.write(LATER)
    (project.folder / "api").write_text("2")
    later = Machines(project.folder, tmp_path / "later")
    GitHubRunner(later, before=second).run(text)
    assert later.ran == ["tools", "api", "last"]


def test_jobs_of_gitlab_find_what_those_that_they_need_built(project: Program, host: str, tmp_path: Path) -> None:
    text = written(project, "gitlab", "--push")
    machines = Machines(project.folder, tmp_path / "gitlab")
    env = {"CI_REGISTRY": host, "CI_REGISTRY_IMAGE": f"{host}/shop", "CI_COMMIT_BRANCH": "main"}
    GitLabRunner(machines, env | {"CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": "p"}).run(text)
    assert machines.ran == ["tools", "api", "web"]
    assert [machines.hits(name) for name in machines.ran] == [(0, 2), (2, 4), (2, 3)]

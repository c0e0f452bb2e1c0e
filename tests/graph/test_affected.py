"""Affected are the targets that a build would make anew, and no others; none is ever missed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.git import commit, git
from support.program import Program

BAKE = """
variable "FLAVOUR" { default = "plain" }
target "a" { context = "a" }
target "b" { context = "b" }
target "linked" {
  context           = "a"
  contexts          = { other = "target:b" }
  dockerfile-inline = "FROM other\\nCOPY y /y"
}
target "flavoured" {
  dockerfile-inline = "FROM scratch\\nARG FLAVOUR\\nCOPY a/x /$FLAVOUR"
  args              = { FLAVOUR = FLAVOUR }
}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Program:
    folder = tmp_path / "project"
    for name, text in {
        "bakery.hcl": BAKE,
        "a/Dockerfile": "FROM scratch\nCOPY x /\n",
        "a/x": "1",
        "a/y": "1",
        "b/Dockerfile": "FROM scratch\nCOPY . /\n",
        "b/.dockerignore": "*.tmp\nDockerfile\n.dockerignore\n",
        "b/z": "1",
        ".gitignore": "ignored\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    commit(folder)
    return Program(folder, tmp_path / "root")


def found(program: Program, *arguments: str) -> dict[str, str]:
    run = program.run("affected", "--format=json", "all", *arguments)
    assert run.code == 0, run.err
    answer: dict[str, str] = json.loads(run.out)
    return answer


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("a/x", "2", ["a", "flavoured"]),
        ("a/y", "2", ["linked"]),
        ("b/new", "2", ["b", "linked"]),
        ("b/new.tmp", "2", []),
        ("b/ignored", "2", []),
        ("b/.dockerignore", "*.tmp\nDockerfile\n.dockerignore\nz\n", ["b", "linked"]),
        ("a/Dockerfile", "FROM scratch\nCOPY x /\nENV A=1\n", ["a"]),
        ("bakery.hcl", BAKE.replace("plain", "sweet"), ["flavoured"]),
        ("bakery.hcl", BAKE + 'target "fresh" { context = "a" }\n', ["fresh"]),
        ("bakery.hcl", BAKE.replace('{ context = "b" }', '{\n  context = "b"\n  tags = ["b:1"]\n}'), []),
    ],
)
def test_a_change_affects_what_takes_it(repository: Program, file: str, text: str, expected: list[str]) -> None:
    (repository.folder / file).write_text(text)
    assert sorted(found(repository)) == expected


def test_commits_are_compared_without_the_work_tree(repository: Program) -> None:
    (repository.folder / "a/y").write_text("2")
    commit(repository.folder)
    (repository.folder / "b/z").write_text("2")
    assert found(repository, "--base", "HEAD~1", "--head", "HEAD") == {"linked": "changed"}
    assert sorted(found(repository, "--base", "HEAD~1")) == ["b", "linked"]


def test_a_branch_is_compared_with_where_it_began(repository: Program) -> None:
    git(repository.folder, "branch", "main-line")
    git(repository.folder, "checkout", "-q", "-b", "work")
    (repository.folder / "a/y").write_text("2")
    commit(repository.folder)
    git(repository.folder, "checkout", "-q", "main-line")
    (repository.folder / "b/z").write_text("2")
    commit(repository.folder)
    git(repository.folder, "checkout", "-q", "work")
    assert list(found(repository, "--base", "main-line...")) == ["linked"]
    assert sorted(found(repository, "--base", "main-line")) == ["b", "linked"]


def test_what_could_not_be_built_before_is_affected(repository: Program) -> None:
    (repository.folder / "a/Dockerfile").write_text("FROMM scratch\n")
    commit(repository.folder)
    (repository.folder / "a/Dockerfile").write_text("FROM scratch\nCOPY x /\n")
    assert found(repository) == {"a": "new"}


def test_nothing_is_written_into_the_repository(repository: Program) -> None:
    (repository.folder / "a/x").write_text("something that git has never seen")
    before = sorted(p for p in (repository.folder / ".git").rglob("*"))
    found(repository)
    assert sorted(p for p in (repository.folder / ".git").rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--base", "nowhere"], "no commit is called 'nowhere'"), (["--base", "-x"], "no commit is called '-x'")],
)
def test_an_unknown_commit_is_told(repository: Program, arguments: list[str], words: str) -> None:
    assert words in repository.fail("affected", *arguments)


def test_outside_of_a_repository_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert "not a git repository" in Program(tmp_path, tmp_path / "root").fail("affected")


def test_what_is_tracked_counts_though_git_ignores_it(repository: Program) -> None:
    (repository.folder / "b/ignored").write_text("1")
    git(repository.folder, "add", "--force", "b/ignored")
    git(repository.folder, "commit", "-qm", "by force")
    assert found(repository) == {}
    (repository.folder / "b/ignored").write_text("2")
    assert sorted(found(repository)) == ["b", "linked"]


def test_a_file_is_the_one_of_each_state_however_it_is_named(repository: Program) -> None:
    (repository.folder / "bakery.hcl").write_text(BAKE.replace("plain", "sweet"))
    assert sorted(found(repository, "-f", str(repository.folder / "bakery.hcl"))) == ["flavoured"]
    repository.environ["BUILDX_BAKE_FILE"] = str(repository.folder / "bakery.hcl")
    assert sorted(found(repository)) == ["flavoured"]


def test_a_hook_of_git_may_ask(repository: Program) -> None:
    (repository.folder / "a/y").write_text("2")
    repository.environ |= {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index.lock", "GIT_PREFIX": "a/"}
    assert sorted(found(repository)) == ["linked"]


def test_what_is_left_out_of_a_sparse_work_tree_is_not_there(repository: Program) -> None:
    git(repository.folder, "sparse-checkout", "set", "--no-cone", "/*", "!/b/z")
    assert not (repository.folder / "b/z").exists()
    assert sorted(found(repository)) == ["b", "linked"]
    (repository.folder / "b/z").write_text("1")
    assert found(repository) == {}


@pytest.fixture
def module(repository: Program, tmp_path: Path) -> Path:
    """A repository that is a submodule, `b/inner`, of the other."""
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "file").write_text("1")
    git(origin, "init", "-q")
    commit(origin)
    add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(origin), "b/inner"]
    git(repository.folder, *add)
    commit(repository.folder)
    return repository.folder / "b/inner"


def test_a_submodule_is_followed_into_its_files(repository: Program, module: Path) -> None:
    assert found(repository) == {}
    (module / "file").write_text("2")
    assert sorted(found(repository)) == ["b", "linked"]
    commit(module)
    commit(repository.folder)
    assert found(repository) == {}
    assert sorted(found(repository, "--base", "HEAD~1", "--head", "HEAD")) == ["b", "linked"]


def test_a_submodule_that_is_not_here_is_the_same_if_its_commit_is(repository: Program, module: Path) -> None:
    (module / "file").write_text("2")
    commit(module)
    commit(repository.folder)
    git(repository.folder, "submodule", "deinit", "--force", "--all")
    assert found(repository) == {}
    assert sorted(found(repository, "--base", "HEAD~1")) == ["b", "linked"]


def test_a_repository_in_the_work_tree_is_a_folder_of_files(repository: Program) -> None:
    inner = repository.folder / "b/cloned"
    inner.mkdir()
    (inner / "file").write_text("1")
    git(inner, "init", "-q")
    commit(inner)
    assert sorted(found(repository)) == ["b", "linked"]

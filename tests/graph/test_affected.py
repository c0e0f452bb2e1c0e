"""Affected are the targets that a build would make anew, and no others; none is ever missed."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
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


def git(folder: Path, *arguments: str) -> None:
    identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t"}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **identity}, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "a state")


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


@pytest.mark.slow
def test_none_is_missed_that_a_build_makes_anew(repository: Program) -> None:
    """Random edits: whatever comes out with another digest than before must be among the affected."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    files = ["a/x", "a/y", "a/w", "b/z", "b/sub/z", "b/q.tmp", "bakery.hcl", "a/Dockerfile"]
    before = digests(repository)
    for _ in range(8):
        for name in rng.sample(files, rng.randint(1, 2)):
            path = repository.folder / name
            path.parent.mkdir(exist_ok=True)
            if name == "bakery.hcl":
                path.write_text(BAKE.replace('"plain"', f'"f{rng.randrange(3)}"'))
            elif name == "a/Dockerfile":
                path.write_text(f"FROM scratch\nCOPY {rng.choice(['x', 'x y', '.'])} /\n")
            elif path.exists() and rng.random() < 0.2 and name not in ("a/x", "a/y"):
                path.unlink()
            else:
                path.write_text(str(rng.randrange(3)))
        named = found(repository)
        after = digests(repository)
        assert {name for name in after if after[name] != before[name]} <= set(named), f"seed {seed}"
        git(repository.folder, "add", "--all")
        git(repository.folder, "commit", "-q", "--allow-empty", "-m", "next")
        before = after


def digests(program: Program) -> dict[str, str]:
    arguments = [
        "--set",
        "*.output=type=oci,dest=/dev/null,rewrite-timestamp=true",
        "--set",
        "*.args.SOURCE_DATE_EPOCH=0",
    ]
    told = program.root.parent / "built.json"
    program.build("all", *arguments, "--allow=fs.write=/dev/null", "--metadata-file", str(told))
    return {
        n: v["containerimage.digest"] for n, v in json.loads(told.read_text()).items() if "containerimage.digest" in v
    }

"""Mistakes that people make at the prompt: each is told in a line or two, with what to do next, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.program import Program

BAKE = """\
group "default" { targets = ["app"] }
target "app" {
  dockerfile-inline = "FROM scratch\\nCOPY docker-bake.hcl /"
  output            = ["type=cacheonly"]
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "docker-bake.hcl").write_text(BAKE)
    (folder / "empty").mkdir()
    return Program(folder, tmp_path / "root", {"GIT_CEILING_DIRECTORIES": str(tmp_path)})


MISTAKES = [
    ("biuld", 2, "There is no command 'biuld'. Did you mean 'build'?"),
    ("app", 2, "To build a target: bakery build app"),
    ("build appp", 1, 'failed to find target appp\nhint: did you mean "app"?'),
    ("build --progess=plain", 2, "No such option '--progess'. Did you mean '--progress'?"),
    ("build --progress=loud", 2, "'loud' is not one of 'auto', 'none', 'plain', 'quiet', 'rawjson', 'tty'"),
    ("build --progress=tty", 1, "needs a terminal, and this output is none\nhint: use plain"),
    ("build --jobs=0", 2, "0 is not in the range x>=1"),
    ("build --timeout=soon", 2, "expected a time such as 90s, 30m or 1h30m"),
    ("build -f nowhere.hcl", 1, "open nowhere.hcl: no such file or directory\nhint: check the path given with -f"),
    ("build --set app", 1, "invalid override key app, expected target.name"),
    ("build --set app.tags", 1, "expected target.name=value"),
    ("build --set ap.tags=x", 1, "could not find any target matching 'ap'\nhint: did you mean 'app'?"),
    ("build --set app.tag=x", 1, "hint: did you mean"),
    ("build --set app.output=type=ocy,dest=x", 1, 'unknown output type "ocy"\nhint: did you mean "oci"?'),
    (
        "build --set app.output=type=registry",
        1,
        'tag is needed when pushing to registry\nhint: set "tags" in the target',
    ),
    ("build --metadata-file no/x.json", 1, "--metadata-file: there is no folder no\nhint: make it first"),
    ("build --junit no/x.xml", 1, "--junit: there is no folder no"),
    ("build --root docker-bake.hcl", 1, "cannot use the state folder"),
    ("build --watch -f -", 2, "--watch needs bake files that lie here"),
    ("graph -o picture.png", 2, "no format is known by '.png'; say --format html|svg"),
    ("graph -o no/picture.svg", 1, "no/picture.svg: no such file or directory"),
    ("history show", 1, "no build is recorded yet\nhint: run `bakery build` first"),
    ("history rm", 2, "name builds, or use --all, or --keep N"),
    ("explain app", 1, "hint: "),
    ("export app", 2, "say where to: --output"),
    ("affected", 1, "not a git repository (or any of the parent directories): .git\nhint: `bakery affected` compares"),
    ("ci github --cache registry", 2, "--cache registry needs --cache-ref"),
    ("ci jenkins", 2, "No such command 'jenkins'"),
    ("completion tcsh", 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ("cache rm nothing", 1, 'there is no cache mount "nothing"\nhint: see `bakery cache ls`'),
    ("images inspect UPPER", 1, "UPPER"),
    ("fmt nowhere.hcl", 1, "open nowhere.hcl: no such file or directory"),
]


@pytest.mark.parametrize(("command", "code", "words"), MISTAKES, ids=[command for command, _, _ in MISTAKES])
def test_a_mistake_is_told(command: str, code: int, words: str, program: Program) -> None:
    said = program.fail(*command.split(), code=code)
    assert words in said
    assert "bug" not in said
    assert " built " not in said, "nothing was done before it was told"


@pytest.mark.parametrize("verb", ["build", "ls", "graph", "plan", "lock", "ci json"])
def test_a_folder_without_a_definition_says_how_to_begin(verb: str, program: Program) -> None:
    program.folder = program.folder / "empty"
    assert "couldn't find a bake definition\nhint: name one with -f, or write" in program.fail(*verb.split())


def test_without_arguments_an_empty_folder_is_told_how_to_begin(program: Program) -> None:
    program.folder = program.folder / "empty"
    run = program.run()
    assert run.code == 0
    assert "docker-bake.hcl" in run.out
    assert "bakery build" in run.out


def test_without_a_group_default_one_is_told_what_to_name(program: Program) -> None:
    (program.folder / "docker-bake.hcl").write_text(BAKE.split("\n", 1)[1])
    said = program.fail("build")
    assert 'failed to find target default\nhint: name what to build (app), or write group "default"' in said

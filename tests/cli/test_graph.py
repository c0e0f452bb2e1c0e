"""`bakery graph`: a picture to a file or to stdout, in the form its name says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.program import Program
from support.shared_stage import write_project


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder)
    for name in ("one", "two"):
        (folder / name).write_text(name)
    return Program(folder, tmp_path / "root")


def test_a_page_is_written_and_its_name_said(program: Program) -> None:
    run = program.run("graph")
    assert (run.code, run.out) == (0, "bakery-graph.html\n")
    assert (program.folder / "bakery-graph.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "beginning"), [("x.svg", "<svg"), ("x.dot", "digraph"), ("x.mmd", "flowchart"), ("x.json", "{")]
)
def test_the_name_says_the_form(name: str, beginning: str, program: Program) -> None:
    assert program.run("graph", "-o", name).code == 0
    assert (program.folder / name).read_text().startswith(beginning)


def test_other_forms_go_to_stdout(program: Program) -> None:
    assert program.run("graph", "--format", "mermaid", "one").out.splitlines()[1:3] == [
        '  n0(["one"])',
        "  style n0 fill:#d9e6f5,color:#1b1f24",
    ]


def test_steps_have_the_colours_of_the_last_build(program: Program) -> None:
    def states() -> dict[str, str]:
        nodes = json.loads(program.run("graph", "--llb", "--format", "json").out)["nodes"]
        return {node["label"].split("] ")[-1]: node.get("state", "") for node in nodes}

    assert states()["COPY <<END /shared"] == ""
    assert program.run("build").code == 0
    assert states()["COPY <<END /shared"] == "ran"
    assert states()["COPY one /"] == "ran"
    assert states()["one"] == "ran"
    assert program.run("build", "one").code == 0
    assert states()["COPY one /"] == "hit"


def test_what_is_shared_is_drawn_once(program: Program) -> None:
    nodes = json.loads(program.run("graph", "--llb", "--format", "json").out)["nodes"]
    shared = [node for node in nodes if node["label"].endswith("/shared")]
    assert [node["sharedBy"] for node in shared] == [["one", "two"]]


def test_a_place_that_cannot_be_written_and_a_build_that_is_not_there_are_said(program: Program) -> None:
    run = program.run("graph", "-o", "nowhere/x.svg")
    assert run.code == 1
    assert "nowhere/x.svg: no such file or directory" in run.err
    assert "no build is recorded yet" in program.run("graph", "--build", "last").err

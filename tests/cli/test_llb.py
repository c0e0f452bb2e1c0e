"""`bakery llb` prints what would be built: one graph, whatever the number of targets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.shared_stage import write_project

from engine.llb.definition import Definition
from engine.llb.ops import RawDefinition
from engine.llb.wire import decode


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def llb(project: Path, *arguments: str) -> bytes:
    command = [sys.executable, "-m", "bakery.cli.main", "llb", "--root", str(project / "root"), *arguments]
    return subprocess.run(command, cwd=project, check=True, capture_output=True).stdout


def names(vertices: list[dict[str, Any]]) -> list[str]:
    return [v["name"].split("] ")[-1] for v in vertices if "name" in v]


def test_one_target_is_its_vertices_and_a_terminal_one(project: Path) -> None:
    *vertices, terminal = json.loads(llb(project, "one"))
    assert names(vertices)[-2:] == ["load build context", "COPY one /"]
    assert terminal["inputs"] == [[len(vertices) - 1, 0]]
    assert "result" not in terminal


def test_several_targets_are_one_graph_with_a_result_each(project: Path) -> None:
    vertices = json.loads(llb(project))
    assert names(vertices).count("COPY <<END /shared") == 1
    results = {v["result"]: vertices[v["inputs"][0][0]]["name"] for v in vertices if "result" in v}
    assert {name: text.split("] ")[-1] for name, text in results.items()} == {"one": "COPY one /", "two": "COPY two /"}


def test_platforms_of_one_target_are_told_apart(project: Path) -> None:
    forms = json.loads(llb(project, "one", "--set", "one.platform=linux/amd64,linux/arm64"))
    assert list(forms) == ["linux/amd64", "linux/arm64"]
    both = json.loads(llb(project, "--set", "one.platform=linux/amd64,linux/arm64"))
    assert [v["result"] for v in both if "result" in v] == ["one linux/amd64", "one linux/arm64", "two"]


def test_the_bytes_of_one_target_are_a_definition(project: Path) -> None:
    definition = Definition.from_pb(decode(RawDefinition, llb(project, "one", "--format", "pb")))
    assert definition.root is not None
    assert definition.vertices[definition.root.vertex].name.endswith("COPY one /")


def test_the_bytes_of_several_targets_hold_shared_vertices_once(project: Path) -> None:
    raw = decode(RawDefinition, llb(project, "--format", "pb"))
    assert len(raw.def_) == len({bytes(data) for data in raw.def_}) == 7

"""Our digests of file ops, and of the content they take, stand in the caches that BuildKit exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.cache.content.contents import Contents
from engine.digests import sha256
from engine.llb.definition import Vertex
from engine.ops.file import FileOperation
from engine.ops.merge import MergeOperation
from engine.results import LocalTree
from engine.sources.local import LocalSource
from engine.state import State
from tests.support.dockerfile_cases import Case, RecordedBridge, cases, lower

NO_CONTEXT = {"cache-args", "cache-mounts"}
CACHES = [
    pytest.param(case, id=case.name)
    for case in cases()
    if (case.expected / "cache.json").exists() and not case.build and case.folder.name not in NO_CONTEXT
]


def recorded(case: Case) -> set[str]:
    """The digests of all records."""
    found: list[dict[str, Any]] = json.loads((case.expected / "cache.json").read_text())["max"]["records"]
    return {record["digest"] for record in found}


def as_recorded(folder: Path, work: Path) -> Path:
    """A copy with the modes that the cases were recorded with."""
    copy = shutil.copytree(folder, work / "files")
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


@pytest.mark.parametrize("case", CACHES)
def test_records_of_file_ops_and_their_content(case: Case, tmp_path: Path) -> None:
    request = case.request(**{"build-arg:SOURCE_DATE_EPOCH": "1700000000"})  # as the caches were recorded
    result = trio.run(lower, request, RecordedBridge(case, tmp_path))
    definition = result.platforms[0].definition
    folder = as_recorded(case.folder / "context", tmp_path)
    records, state = recorded(case), State.open(tmp_path / "state")
    checked = 0
    for vertex in definition.walk():
        if vertex.op.merge is not None:
            assert record_of(MergeOperation(vertex).cache_map().digest) in records
        if vertex.op.file is None:
            continue
        cache_map = FileOperation(vertex).cache_map()
        assert record_of(cache_map.digest) in records, vertex.name
        for edge, dependency in zip(vertex.inputs, cache_map.dependencies, strict=True):
            source = definition.vertices[edge.vertex]
            if dependency.content and is_local(source):
                local = resolved(source, folder)
                content = Contents(state).of_folder(local, dependency.content)
                assert sha256(f"{content}@-1".encode()) in records, vertex.name
                checked += 1
    state.close()
    assert checked


def record_of(digest: str) -> str:
    return sha256(f"{digest}@0".encode())


def is_local(vertex: Vertex) -> bool:
    return vertex.op.source is not None and vertex.op.source.identifier.startswith("local://")


def resolved(vertex: Vertex, folder: Path) -> LocalTree:
    assert vertex.op.source is not None
    session = vertex.op.source.attrs.get("local.session", "")
    found = trio.run(LocalSource(vertex, {session: folder}).resolve).result
    assert isinstance(found, LocalTree)
    return found

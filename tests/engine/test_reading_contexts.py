"""Contexts of which much has to be read are shown as being at work; others are read without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_process import Workplace

from engine.events import Status, VertexCompleted, VertexStarted

LOAD = "[internal] load build context"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", 'target "default" { output = ["type=cacheonly"] }\n')
    place.write("Dockerfile", "FROM scratch\nCOPY big /\n")
    return place


def test_a_large_context_is_shown_while_it_is_read_and_only_then(place: Workplace) -> None:
    with place.write("big", "").open("r+b") as file:
        file.truncate(100 << 20)
    built = place.build_well()
    (context,) = (digest for digest, name in built.names.items() if name == LOAD)
    mine = [event for event in built.events if getattr(event, "digest", None) == context]
    told = [event for event in mine if isinstance(event, VertexStarted | Status | VertexCompleted)]
    assert [type(event) for event in (told[0], told[-1])] == [VertexStarted, VertexCompleted]
    read = [event.current for event in told[1:-1] if isinstance(event, Status)]
    assert len(read) == len(told) - 2 == 2
    assert read[0] == 0
    assert 50 << 20 < read[1] < 100 << 20, "of one file, too, it is shown how far it is read"
    assert LOAD not in place.build_well(no_cache=True).started, "its files are known"


def test_a_small_context_is_not(place: Workplace) -> None:
    place.write("big", "not at all")
    assert LOAD not in place.build_well().started

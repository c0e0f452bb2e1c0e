"""Layers that somebody has taken away: what they held is made again by the build that needs it, which does not fail."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.in_process import Workplace

from engine.cache.repair import examine
from engine.events import Event, VertexStarted
from engine.state import State

DOCKERFILE = """FROM scratch AS one
COPY below /below
FROM scratch
COPY top /top
COPY --from=one /below /copied
"""


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", 'target "default" { output = ["type=local,dest=out"] }\n')
    place.write("Dockerfile", DOCKERFILE)
    place.write("below", "below")
    place.write("top", "0")
    place.build_well()
    return place


def layer_of(place: Workplace, step: str) -> Path:
    """The folder of the layer that a step has made."""
    state = State.open(place.root)
    ((layer,),) = state.query("SELECT id FROM layers WHERE description LIKE ? AND unpacked", f"%{step}")
    state.close()
    return state.layers / str(layer)


def gone(layer: Path) -> None:
    shutil.rmtree(layer)


def empty(layer: Path) -> None:
    shutil.rmtree(layer / "fs")


@pytest.mark.parametrize("lose", [gone, empty])
@pytest.mark.parametrize("step", ["COPY below /below", "COPY top /top", "COPY --from=one /below /copied"])
def test_a_layer_that_is_gone_is_made_again(place: Workplace, step: str, lose: object) -> None:
    assert callable(lose)
    lose(layer_of(place, step))
    shutil.rmtree(place.folder / "out")
    assert set(place.build_well().ran) <= {step, "COPY --from=one /below /copied"}
    place.write("top", "1")
    place.build_well()
    assert (place.folder / "out" / "copied").read_text() == "below"
    assert (place.folder / "out" / "top").read_text() == "1"


def test_what_needed_a_layer_that_is_gone_is_forgotten_with_it(place: Workplace) -> None:
    gone(layer_of(place, "COPY top /top"))
    place.write("top", "1")
    place.build_well()
    place.write("top", "0")
    place.build_well()
    assert examine(place.root) == []


def test_a_layer_that_cannot_be_looked_at_is_not_gone(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk may have a bad moment: what is there is not thrown away for it."""
    layer, look = layer_of(place, "COPY top /top"), os.stat

    def stat(place: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(place) == f"{layer}/fs":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(place))
        return look(place, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        assert place.build_well(overrides=("*.output=type=cacheonly",)).ran == []
    assert place.build_well().ran == []
    assert layer_of(place, "COPY top /top") == layer


def test_a_layer_that_goes_during_a_build_is_made_again_in_the_same_build(place: Workplace) -> None:
    place.write("top", "1")
    layer = layer_of(place, "COPY below /below")

    def take_away(event: Event) -> None:
        if isinstance(event, VertexStarted):
            shutil.rmtree(layer, ignore_errors=True)

    built = place.build_well(hear=take_away)
    assert (place.folder / "out" / "copied").read_text() == "below"
    assert "COPY below /below" in built.ran

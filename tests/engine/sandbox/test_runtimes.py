"""Which runtime it is, when nobody says, or says something that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import UnsupportedError
from engine.sandbox import find_runtime, native
from engine.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.open(tmp_path)


def test_nobody_has_to_choose_a_runtime(state: State) -> None:
    assert find_runtime("", state).name == "native"


def test_an_older_kernel_has_bubblewrap(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_OLDEST", (99, 1))
    assert find_runtime("", state).name == "bubblewrap"
    with pytest.raises(UnsupportedError, match=r"`native` needs Linux 99\.1, and this is ") as caught:
        find_runtime("native", state)
    assert "--runtime=bubblewrap" in caught.value.hint


def test_a_runtime_that_does_not_exist_is_refused_with_those_that_do(state: State) -> None:
    with pytest.raises(UnsupportedError, match="there is no runtime called natve") as caught:
        find_runtime("natve", state)
    assert caught.value.hint == "known are native, bubblewrap, crun, runc"

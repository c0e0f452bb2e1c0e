from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.open(tmp_path / "state")
    yield state
    state.close()

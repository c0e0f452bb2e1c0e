from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.snapshots.store import SnapshotStore
from engine.state import State


@pytest.fixture
def store(state: State) -> Iterator[SnapshotStore]:
    store = SnapshotStore(state)
    yield store
    store.close()

"""A kitchen for each runtime: everything that runs steps passes the same tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kitchen import RUNTIMES, Kitchen


@pytest.fixture(params=RUNTIMES)
def kitchen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kitchen]:
    kitchen = Kitchen(tmp_path, request.param)
    yield kitchen
    mounts = Path("/proc/self/mounts").read_text() + Path("/proc/1/mounts").read_text()
    assert str(tmp_path) not in mounts
    kitchen.store.close()
    kitchen.state.close()

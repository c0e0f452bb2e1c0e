"""Builds and prunes killed at any moment: what was finished is kept, nothing is broken, and the next build is right."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from support.killable import KILLED, Killable
from support.soundness import begin_round, check_build, check_state

pytestmark = pytest.mark.root

LONGEST = 0.5
"""Seconds; a build takes about so long."""


def kill_many(bakery: Killable, project: Path, root: Path, *, kills: int, seconds: float, seed: int) -> int:
    """How many were really killed, of builds and now and then a prune."""
    chance = random.Random(seed)
    begin_round(project, 0)
    check_build(bakery, project, 0)
    killed, number, begun = 0, 0, time.monotonic()
    while killed < kills and time.monotonic() - begun < seconds:
        number += 1
        begin_round(project, number)
        verb = ("prune", "--force") if chance.random() < 0.15 else ("build", "--progress=plain")
        # Most moments of interest are early: squaring makes them likelier.
        code = bakery.run(*verb, kill_after=0.005 + LONGEST * chance.random() ** 2)
        if code == KILLED:
            killed += 1
        else:
            assert code == 0, bakery.said()
        check_state(root)
        if number % 12 == 0:
            check_build(bakery, project, number)
    check_build(bakery, project, number)
    return killed


def test_some_builds_are_killed(bakery: Killable, project: Path, tmp_path: Path) -> None:
    assert kill_many(bakery, project, tmp_path / "root", kills=12, seconds=20, seed=1) >= 3


@pytest.mark.slow
def test_hundreds_of_builds_are_killed(bakery: Killable, project: Path, tmp_path: Path) -> None:
    """Two minutes' worth."""
    seed = random.randrange(1 << 30)
    killed = kill_many(bakery, project, tmp_path / "root", kills=400, seconds=110, seed=seed)
    print(f"{killed} killed, seed {seed}")
    assert killed >= 50

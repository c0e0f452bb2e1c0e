"""Builds and prunes killed at any moment: what was finished is kept, nothing is broken, and the next build is right.

Moments are counted in calls that touch the state folder and in changes of its database: between two of them nothing
happens to it. Now and then the clock decides, for the moments within a call.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from support.killable import DEATH, KILLED, Fault, Killable
from support.soundness import begin_round, check_build, check_state

pytestmark = pytest.mark.root

MANY = 1000
"""More calls than a build makes."""
LONGEST = 0.5
"""Seconds; a build takes about so long."""


class Moments:
    """When to kill: somewhere between the first call and the last, as far as that is known by now."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._calls: dict[str, int] = {}

    def kill(self, bakery: Killable, *verb: str) -> bool:
        """Runs a command that is killed, unless it ends before that. Whether it was."""
        if self._chance.random() < 0.1:
            code = bakery.run(*verb, kill_after=0.005 + LONGEST * self._chance.random() ** 2)
        else:
            call = self._chance.randrange(self._calls.get(verb[0], MANY))
            code = bakery.run(*verb, fault=Fault(DEATH, call))
            if code != KILLED:
                self._calls[verb[0]] = max(call, 1)  # so many it does not make
        assert code in (0, KILLED), bakery.said()
        return code == KILLED


def kill_many(bakery: Killable, project: Path, root: Path, *, kills: range, seconds: float, seed: int) -> None:
    """Kills builds and now and then a prune: in so many seconds as many of `kills` as it can, the first in any case."""
    print(f"{seed=}")
    chance = random.Random(seed)
    moments = Moments(chance)
    begin_round(project, 0)
    check_build(bakery, project, 0)
    killed, number, begun = 0, 0, time.monotonic()
    while killed < kills.start or (killed < kills.stop and time.monotonic() - begun < seconds):
        number += 1
        begin_round(project, number)
        verb = ("prune", "--force") if chance.random() < 0.1 else ("build", "--progress=plain")
        killed += moments.kill(bakery, *verb)
        check_state(root)
        if number % 25 == 0:
            check_build(bakery, project, number)
    check_build(bakery, project, number)
    print(f"{killed} of {number} killed in {time.monotonic() - begun:.0f} s")


def test_some_builds_are_killed(bakery: Killable, project: Path, tmp_path: Path) -> None:
    kill_many(bakery, project, tmp_path / "root", kills=range(3, 30), seconds=30, seed=1)


@pytest.mark.slow
def test_hundreds_of_builds_are_killed(bakery: Killable, project: Path, tmp_path: Path) -> None:
    """Hundreds of moments on a machine that has nothing else to do, and as many as it can in a minute else."""
    seed = random.randrange(1 << 30)
    kill_many(bakery, project, tmp_path / "root", kills=range(10, 250), seconds=60, seed=seed)

"""How far each target is, counted from the steps that it wants."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Stage(Enum):
    """How far a step is, as far as a target counts it."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class TargetProgress:
    """One target. A step that several targets want counts for each of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts = dict.fromkeys(Stage, 0)
        self.outcome = ""
        """A word of `engine.request.Outcome`, once it has ended."""
        self.began: float | None = None
        self.ended = 0.0

    @property
    def running(self) -> int:
        """How many of its steps are at work."""
        return self.counts[Stage.RUNNING]

    @property
    def total(self) -> int:
        """How many steps it has."""
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """How many have ended. What a hit made unnecessary never does."""
        return self.counts[Stage.ENDED]

    def seconds(self, now: float) -> float:
        """Time since work for it began, until it ended."""
        if self.began is None:
            return 0.0
        return max(0.0, (self.ended or now) - self.began)


class TargetBoard:
    """All targets of a build, in the order they were asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self.all = {name: TargetProgress(name) for name in names}
        self.ended: list[TargetProgress] = []
        """In the order in which they ended."""

    def move(self, names: Iterable[str], before: Stage | None, after: Stage, time: float | None) -> None:
        """A step of these targets goes from one stage to another; `before` is None for one that is new to them."""
        for name in names:
            target = self.all.get(name)
            if target is None:
                continue
            if before is not None:
                target.counts[before] -= 1
            target.counts[after] += 1
            if after is Stage.RUNNING and target.began is None:
                target.began = time

    def end(self, name: str, time: float, outcome: str) -> None:
        """A target has ended."""
        target = self.all.get(name)
        if target is not None and not target.outcome:
            target.outcome, target.ended = outcome, time
            self.ended.append(target)

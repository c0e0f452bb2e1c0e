"""Who may work: a bound on how many vertices do at once, in all and for each target, and the most urgent first."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

import trio

from engine.digests import Digest
from engine.llb.definition import Vertex
from engine.solver.priorities import Priorities
from engine.values import frozen

_PATIENCE = 0.02
"""Seconds in which steps that have become ready must have come forward."""


@frozen
class Bounds:
    """How many vertices may be at work at once: in all, and at most for one target (None: as many as there are)."""

    jobs: int
    each_target: int | None = None


@dataclass(order=True, slots=True)
class _Waiting:
    """Somebody in the queue; the smallest comes first. (The lambda keeps trio from being imported before its time.)"""

    order: tuple[float, int]
    vertex: Digest = field(compare=False)
    called: trio.Event = field(compare=False, default_factory=lambda: trio.Event())
    gone: bool = field(compare=False, default=False)


class Slots:
    """The places to work at.

    While there is room for all, a place is taken at once and nobody's urgency is asked for. Otherwise places are given
    out by `serve`, which waits each time until everybody who can want one has said so: the step that has just become
    ready may be more urgent than those that have waited for long.
    """

    def __init__(
        self, bounds: Bounds, owners: Mapping[Digest, tuple[str, ...]], urgency: Callable[[], Priorities], wanted: int
    ) -> None:
        self._bounds = bounds
        self._owners = owners
        self._make_urgency = urgency
        self.crowded = wanted > bounds.jobs or bounds.each_target is not None
        """Whether `serve` is needed."""
        self._queue: list[_Waiting] = []
        self._numbers = count()
        self._changed = trio.Event()
        self._busy = 0
        self._busy_for: Counter[str] = Counter()

    @asynccontextmanager
    async def taken(self, vertex: Digest) -> AsyncIterator[None]:
        """Holds a place for a vertex; waits for it."""
        if self.crowded:
            await self._wait(vertex)
        else:
            await trio.lowlevel.checkpoint()
            self._take(vertex)
        try:
            yield
        finally:
            self._release(vertex)

    async def serve(self) -> None:
        """Gives out places until cancelled."""
        from trio.testing import wait_all_tasks_blocked

        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            # A step that writes without end keeps the loop from ever being idle: others must not starve for that.
            with trio.move_on_after(_PATIENCE):
                await wait_all_tasks_blocked()
            self._give()

    def are_alike(self, one: Vertex, other: Vertex) -> bool:
        """Whether two vertices take places of the same targets: they may share one."""
        return self._owners.get(one.digest) == self._owners.get(other.digest)

    def __str__(self) -> str:
        return f"{self._busy} of {self._bounds.jobs} at work"

    @cached_property
    def _urgency(self) -> Priorities:
        return self._make_urgency()

    async def _wait(self, vertex: Digest) -> None:
        mine = _Waiting((-self._urgency.of(vertex), next(self._numbers)), vertex)
        heapq.heappush(self._queue, mine)
        self._changed.set()
        try:
            await mine.called.wait()
        except trio.Cancelled:
            if mine.called.is_set():
                self._release(vertex)
            mine.gone = True
            raise

    def _give(self) -> None:
        passed: list[_Waiting] = []
        while self._queue and self._busy < self._bounds.jobs:
            first = heapq.heappop(self._queue)
            if first.gone:
                continue
            if self._fits(first.vertex):
                self._take(first.vertex)
                first.called.set()
            else:
                passed.append(first)
        for each in passed:
            heapq.heappush(self._queue, each)

    def _fits(self, vertex: Digest) -> bool:
        """Whether one of the targets that want a vertex may still begin something."""
        bound, owners = self._bounds.each_target, self._owners.get(vertex, ())
        return bound is None or not owners or any(self._busy_for[name] < bound for name in owners)

    def _take(self, vertex: Digest) -> None:
        self._busy += 1
        self._busy_for.update(self._owners.get(vertex, ()))

    def _release(self, vertex: Digest) -> None:
        self._busy -= 1
        self._busy_for.subtract(self._owners.get(vertex, ()))
        self._changed.set()

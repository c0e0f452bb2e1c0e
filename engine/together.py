"""Several targets at once: what the failure of one means for the others, and when outputs may leave the house."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from engine.delivery import deliver, result_without_end
from engine.errors import TimeError, WithheldError
from engine.events import TargetEnded
from engine.request import BuildRequest, OnError, Outcome, TargetResult, Wanted
from engine.solver.scheduler import Scheduler

if TYPE_CHECKING:
    from engine.exchange import CacheExchange
    from engine.house import House


class Gate:
    """Before the outputs of each target. Held shut until all targets are built, where all or nothing is asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self._missing = set(names)
        self._failed = ""
        self._decided = trio.Event()

    async def passing(self, name: str) -> None:
        """Waits until a target that is built may write its outputs.

        Raises WithheldError if another target has failed.
        """
        self._missing.discard(name)
        if not self._missing:
            self._decided.set()
        await self._decided.wait()
        if self._failed:
            raise WithheldError(f"nothing is published, for the target {self._failed} failed")

    def fail(self, name: str) -> None:
        """Notes that a target has failed."""
        self._failed = self._failed or name
        self._decided.set()


def _too_late(request: BuildRequest) -> TimeError:
    return TimeError(f"the build took longer than {request.timeout:g} s", hint="give it more time with --timeout")


async def deliver_all(
    request: BuildRequest, scheduler: Scheduler, house: House, exchange: CacheExchange
) -> dict[str, TargetResult]:
    """All targets, each with how it ended, in the order of the request."""
    results: dict[str, TargetResult] = {}
    deadline = math.inf if request.timeout is None else trio.current_time() + request.timeout
    scopes = {wanted.name: trio.CancelScope(deadline=deadline) for wanted in request.wanted}
    together = request.on_error is OnError.PUBLISH_ALL_OR_NOTHING
    gate = Gate(scopes) if together else None

    async def one(wanted: Wanted) -> None:
        with scopes[wanted.name] as scope:
            result = await deliver(wanted, request.vertices, scheduler, house, exchange, gate)
        if scope.cancelled_caught:
            result = result_without_end(wanted, request.vertices, scheduler)
            if trio.current_time() >= deadline:
                result = replace(result, outcome=Outcome.FAILED, error=_too_late(request))
        results[wanted.name] = result
        house.listener(TargetEnded(wanted.name, time.time(), result.outcome.value))
        if result.outcome is Outcome.FAILED:
            if gate is not None:
                gate.fail(wanted.name)
            if request.on_error is OnError.FAIL_FAST:
                for name, other in scopes.items():
                    if name not in results:
                        other.cancel()

    async with trio.open_nursery() as nursery:
        for wanted in request.wanted:
            nursery.start_soon(one, wanted)
    return {wanted.name: results[wanted.name] for wanted in request.wanted}

"""Several targets at once: what the failure of one means for the others, and when outputs may leave the house."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from engine.concurrency import MustWait
from engine.delivery import deliver, result_without_end
from engine.errors import EngineError, TimeError, WithheldError
from engine.events import Listener, TargetEnded
from engine.request import BuildRequest, OnError, Outcome, TargetResult, Wanted
from engine.solver.findings import Findings

if TYPE_CHECKING:
    from engine.exchange import CacheExchange
    from engine.house import House
    from engine.solver.scheduler import Scheduler


class Gate:
    """Held shut until all targets have come to it, or one has failed; `denied` says what the others are denied then."""

    def __init__(self, names: Iterable[str], denied: str) -> None:
        self._missing = set(names)
        self._denied = denied
        self._failed = ""
        self._decided = trio.Event()

    def come(self, name: str) -> None:
        """Notes that a target has come to it; it need not pass."""
        self._missing.discard(name)
        if not self._missing:
            self._decided.set()

    async def passing(self, name: str) -> None:
        """Waits until a target that has come may go on. Raises WithheldError if another one has failed."""
        self.come(name)
        await self._decided.wait()
        if self._failed:
            raise WithheldError(f"{self._denied}, for the target {self._failed} failed")

    def fail(self, name: str) -> None:
        """Notes that a target has failed."""
        self._failed = self._failed or name
        self._decided.set()


class Gates:
    """What all targets come by together, where all or nothing is asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        every = list(names)
        self.built = Gate(every, "nothing is published")
        """Before the outputs of each target."""
        self.sent = Gate(every, "pushed images get no names")
        """Behind them, before images that were pushed get their names."""

    def fail(self, name: str) -> None:
        """Notes that a target has failed."""
        self.built.fail(name)
        self.sent.fail(name)


def too_late(request: BuildRequest) -> TimeError:
    """What became of the targets that were not ready in time."""
    return TimeError(f"the build took longer than {request.timeout:g} s", hint="give it more time with --timeout")


class Endings:
    """How the targets of one build ended, told to the listener as each does, also where something ends them all."""

    def __init__(self, request: BuildRequest, listener: Listener) -> None:
        self._request = request
        self._listener = listener
        self._ended: dict[str, TargetResult] = {}
        self._cut: dict[str, TargetResult] = {}

    def note(self, result: TargetResult) -> None:
        """A target has ended."""
        self._ended[result.name] = result
        self._listener(TargetEnded(result.name, time.time(), result.outcome.value))

    def cut(self, result: TargetResult) -> None:
        """What can be said of a target if the whole build ends before it does."""
        self._cut[result.name] = result

    def __contains__(self, name: str) -> bool:
        return name in self._ended

    @property
    def results(self) -> dict[str, TargetResult]:
        """Those that have ended, in the order of the request."""
        return {wanted.name: self._ended[wanted.name] for wanted in self._request.wanted if wanted.name in self._ended}

    def all(self, error: EngineError | None = None) -> dict[str, TargetResult]:
        """Every target of a build that was ended before its end, with the error that ended it if it was no wish."""
        for wanted in self._request.wanted:
            if wanted.name not in self._ended:
                self.note(_failed(self._cut.get(wanted.name, TargetResult(wanted.name, Outcome.NOT_STARTED)), error))
            elif self._ended[wanted.name].error is None and any(cache.type != "inline" for cache in wanted.cache_to):
                # Caches are written last.
                self.note(_failed(replace(self._ended[wanted.name], outcome=Outcome.CANCELLED), error))
        return self.results


def _failed(result: TargetResult, error: EngineError | None) -> TargetResult:
    return result if error is None else replace(result, outcome=Outcome.FAILED, error=error)


async def deliver_all(
    request: BuildRequest, scheduler: Scheduler, house: House, exchange: CacheExchange, endings: Endings
) -> dict[str, TargetResult]:
    """All targets, each with how it ended, in the order of the request."""
    scopes = {wanted.name: trio.CancelScope() for wanted in request.wanted}
    together = request.on_error is OnError.PUBLISH_ALL_OR_NOTHING
    gates = Gates(scopes) if together else None

    async def one(wanted: Wanted) -> None:
        asked = time.time()
        try:
            with scopes[wanted.name] as scope:
                result = await deliver(wanted, request.vertices, scheduler, house, exchange, gates)
        except BaseException:  # a cancellation of the whole build, which may come as a group
            endings.cut(result_without_end(wanted, request.vertices, scheduler, asked))
            raise
        if scope.cancelled_caught:
            result = result_without_end(wanted, request.vertices, scheduler, asked)
        endings.note(result)
        if result.outcome is Outcome.FAILED:
            if gates is not None:
                gates.fail(wanted.name)
            if request.on_error is OnError.FAIL_FAST:
                for name, other in scopes.items():
                    if name not in endings:
                        other.cancel()

    async with trio.open_nursery() as nursery:
        for wanted in request.wanted:
            nursery.start_soon(one, wanted)
    return endings.results


async def deliver_known(
    request: BuildRequest, findings: Findings, house: House, exchange: CacheExchange
) -> dict[str, TargetResult]:
    """All targets of a build in which nothing has to be done.

    Raises:
        MustWait: if an output has to be written after all, or a target cannot be had.
    """
    endings = Endings(request, house.listener)
    with house.state.transaction():
        for wanted in request.wanted:
            result = await deliver(wanted, request.vertices, findings, house, exchange)
            if result.error is not None:
                raise MustWait
            endings.note(result)
    return endings.results

"""The front door: a build request in, results and events out.

async with Engine.open() as engine:
    result = await engine.solve(request)
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from engine.ahead import loading_ahead
from engine.concurrency import MustWait, run_now
from engine.errors import ShortageError
from engine.events import Event, Listener
from engine.exchange import CacheExchange, without_lost_layers
from engine.house import House
from engine.llb.definition import Edge, walk
from engine.request import BuildRequest, BuildResult, Secret
from engine.snapshots import user_namespace
from engine.solver.solver import Circumstances, prepare, settled, solving
from engine.space import explain_shortage, guarding_space
from engine.state import State, default_root
from engine.stop import is_interrupt
from engine.telling import tell_what_is_found, told_what_is_found
from engine.together import Endings, deliver_all, deliver_known, too_late
from engine.values import frozen
from engine.wishes import Wishes, owners_and_wishes
from engine.workshop import Workshop, build_id

if TYPE_CHECKING:
    from engine.bridge import EngineBridge
    from engine.exporters.contract import Export
    from engine.frontends.contract import Frontend
    from engine.llb.definition import Vertex
    from engine.solver.forecast import Forecast
    from engine.solver.plan import Prepared
    from engine.sources.pins import Pins


def ignore(event: object) -> None:
    """A listener for those who do not listen."""


class Engine:
    """Solves graphs. Made by `open`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._survey: _Survey | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, root: Path | None = None, *, listener: Listener = ignore, runtime: str = "", pins: Pins | None = None
    ) -> AsyncIterator[Engine]:
        """An engine for all that it does, closed when the block ends. See `opened`."""
        with cls.opened(root, listener=listener, runtime=runtime, pins=pins) as engine:
            async with engine.connected():
                yield engine

    @classmethod
    @contextmanager
    def opened(
        cls, root: Path | None = None, *, listener: Listener = ignore, runtime: str = "", pins: Pins | None = None
    ) -> Iterator[Engine]:
        """An engine over the state folder `root` (see `engine.state.default_root`), closed when the block ends.

        As it is, it can do what needs no trio; the rest inside of `connected`.

        `runtime` names the sandbox (`native`, `bubblewrap`, `crun`, `runc`), empty for the default. Who is not root
        becomes root in a user namespace here, which a process with several threads cannot; see
        `engine.snapshots.user_namespace`. `pins` says what names of sources are to mean, and collects what they do.

        Raises:
            StateError: if the folder cannot be used.
        """
        user_namespace.enter()
        state = State.open(root or default_root())
        house = House(state, listener, runtime, pins)
        try:
            yield cls(house)
        finally:
            house.close()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """In the block, under trio, the engine may use networks; connections end with it."""
        try:
            yield
        finally:
            await self._house.hang_up()

    @property
    def listener(self) -> Listener:
        """Who hears what is done."""
        return self._house.listener

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """What is done in the block is told when it ends well, and not at all when it does not."""
        house, heard = self._house, list[Event]()
        listener, house.listener = house.listener, heard.append
        try:
            yield
        finally:
            house.listener = listener
        for event in heard:
            listener(event)

    def bridge(self, secrets: Iterable[Secret] = ()) -> EngineBridge:
        """What the frontend of a target that has these secrets asks."""
        from engine.bridge import EngineBridge

        return EngineBridge(self._house, Wishes(secrets))

    async def resolve(self, request: BuildRequest) -> None:
        """Finds out what the sources of a request mean, and fetches nothing. Local folders are left out.

        Raises:
            SourceError: for the first that cannot be had. Else as `solve`.
        """
        workshop = self._begin(request).workshop

        async def one(vertex: Vertex) -> None:
            await workshop.resolve(vertex)

        try:
            async with trio.open_nursery() as nursery:
                for vertex in request.vertices.values():
                    source = vertex.op.source
                    if source and not source.identifier.startswith(("local://", "oci-layout://")):
                        nursery.start_soon(one, vertex)
        except BaseExceptionGroup as group:
            from engine.sources.streams import first_error

            raise first_error(group) from None

    @cached_property
    def frontend(self) -> Frontend:
        """The Dockerfile frontend."""
        from engine.frontends.dockerfile import DockerfileFrontend

        return DockerfileFrontend()

    def settle(self, request: BuildRequest) -> BuildResult | None:
        """What `solve` gives if there is nothing to do for it; None if there is. Outside of trio, and without it.

        What was found out is kept for `solve`. Raises nothing: what goes wrong will go wrong there, too, and be told.
        """
        try:
            with self.quiet():
                return run_now(self._settle, request)
        except (MustWait, Exception):
            return None

    async def _settle(self, request: BuildRequest) -> BuildResult:
        house, survey = self._house, self._begin(request)
        self._survey, exchange = survey, survey.exchange
        order = list(walk(request.vertices, survey.roots))
        prepared = await prepare(request.vertices, order, survey.roots, survey.workshop, importer=survey.how.importer)
        self._survey = replace(survey, prepared=prepared)
        if prepared.plan.runs or prepared.facts.unresolved or exchange.exports:
            raise MustWait
        findings = await settled(prepared, survey.workshop, house.listener, survey.how)
        results = await deliver_known(request, findings, house, exchange)
        tell_what_is_found(house.state, house.listener)
        return BuildResult(results)

    async def solve(self, request: BuildRequest) -> BuildResult:
        """Builds everything that is wanted. What fails for one target is in its result; `request.on_error` says what
        that means for the others.

        Raises:
            EntitlementError: before any work, if something is asked for that was not allowed.
            EngineError: when nothing could be done at all.
        """
        result = await self._solve(request)
        again = without_lost_layers(request, result)
        if again is None or result.stopped:
            return result
        second = await self._solve(again)
        return BuildResult({**result.targets, **second.targets}, second.stopped)

    async def _solve(self, request: BuildRequest) -> BuildResult:
        house = self._house
        survey, self._survey = self._survey, None
        if survey is None or survey.request is not request:
            survey = self._begin(request)
        workshop, exchange, how = survey.workshop, survey.exchange, survey.how
        endings = Endings(request, house.listener)
        deadline = math.inf if request.timeout is None else trio.current_time() + request.timeout
        try:
            with (
                request.stop.ending(deadline) as scope,
                told_what_is_found(house.state, house.listener),
                loading_ahead(request),
            ):
                async with (
                    guarding_space(house.state),
                    solving(
                        request.vertices, survey.roots, workshop, house.listener, how, survey.prepared
                    ) as scheduler,
                ):
                    results = await deliver_all(request, scheduler, house, exchange, endings)
                    explain_shortage((target.error for target in results.values()), house.state)
                    results = await exchange.export(results, scheduler)
        except ShortageError as error:
            return BuildResult(endings.all(error))
        except BaseException as error:
            if not is_interrupt(error):
                raise
            # Somebody does not want to wait for the end of what was begun. What became of the targets is known even so.
            return BuildResult(endings.all(), stopped=True)
        if not scope.cancelled_caught:
            return BuildResult(results)
        stopped = request.stop.wished
        return BuildResult(endings.all(None if stopped else too_late(request)), stopped)

    async def export(self, project: str, targets: Iterable[str], exports: Sequence[Export]) -> BuildResult:
        """Sends what targets of a project came to in their last build to outputs, without solving anything.

        Raises:
            StateError: if there is no such result.
        """
        from engine.later import export_results

        return await export_results(self._house, project, targets, exports)

    async def forecast(self, request: BuildRequest) -> Forecast:
        """What `solve` would do, without doing it. Raises as `solve`."""
        from engine.solver.forecast import forecast

        survey = self._begin(request)
        return await forecast(request.vertices, survey.roots, survey.workshop, survey.how)

    async def fingerprints(self, request: BuildRequest) -> Mapping[Edge, str | None]:
        """What each result that is wanted is made of; see `engine.solver.fingerprints`. Raises as `solve`."""
        from engine.solver.fingerprints import fingerprints

        survey = self._begin(request)
        return await fingerprints(request.vertices, survey.roots, survey.workshop)

    def _begin(self, request: BuildRequest) -> _Survey:
        house = self._house
        exchange = CacheExchange(request, house)
        house.folders.update(request.folders)
        house.reader.forget()
        house.project, house.begun = request.project, time.time()
        owners, wishes = owners_and_wishes(request)
        roots = [root for wanted in request.wanted for platform in wanted.platforms for root in platform.roots]
        workshop = Workshop(house, wishes, house.state.logs / (request.id or build_id()), request)
        how = Circumstances(request.jobs, request.jobs_each, owners, request.project, exchange.importer)
        return _Survey(request, exchange, roots, workshop, how)


@frozen
class _Survey:
    """A request with what it needs to be solved, and what was found out so far."""

    request: BuildRequest
    exchange: CacheExchange
    roots: list[Edge]
    workshop: Workshop
    how: Circumstances
    prepared: Prepared | None = None

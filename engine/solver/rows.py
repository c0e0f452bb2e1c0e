"""Steps in a row: each upon the last one, none of which has anything to wait for, done by one thread.

To hand a step to a thread and take it back takes longer than to copy a small file. So a row is handed over as a whole;
what is done for each of its steps is what the scheduler does for others: looked up by its content key, held against
other processes, run, recorded; but looked up and recorded together with its neighbours. Listeners are called in the
scheduler's thread only: what there is to tell waits in `Overheard` until somebody passes it on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import trio

from engine.cache.records import Record, new_identities
from engine.digests import Digest
from engine.errors import EngineError
from engine.events import Event, How, Listener
from engine.llb.definition import Edge, Vertex
from engine.ops.contract import Dependency
from engine.results import Snapshot
from engine.solver.findings import Done, Findings, Inputs
from engine.solver.reasons import Reasons
from engine.solver.services import Desk, Services
from engine.solver.tell import Teller
from engine.solver.why import Taken, changed_files, reason_of
from engine.values import frozen, record

PAUSE = 0.05
"""Seconds that what a row has to tell, and to record, waits while it is at work."""


class Overheard:
    """Events that other threads have to tell."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._events: deque[Event] = deque()
        self._rows: list[Row] = []
        self._passing = False

    def listen(self, event: Event) -> None:
        """Takes an event in, from any thread."""
        self._events.append(event)

    def pass_on(self) -> None:
        """Tells what there is."""
        while self._events:
            self._listener(self._events.popleft())

    async def during(self, row: Row, services: Services, nursery: trio.Nursery) -> None:
        """Has a row done, and tells what it has to tell meanwhile."""
        self._rows.append(row)
        if not self._passing:
            self._passing = True
            nursery.start_soon(self._pass_on_while_rows_work)
        try:
            await services.in_row(row.work)
        finally:
            self._rows.remove(row)
            self.pass_on()

    async def _pass_on_while_rows_work(self) -> None:
        while self._rows:
            await trio.sleep(PAUSE)
            for row in self._rows:
                row.write_meanwhile()
            self.pass_on()
        self._passing = False


@frozen
class Station:
    """A step of a row. `inputs` are those of its inputs that are not the step before it, by their position; `checksums`
    what it takes from each input."""

    vertex: Vertex
    wanted: Sequence[tuple[Edge, Dependency]]
    inputs: Mapping[int, Done]
    checksums: Sequence[Digest | None]


@frozen
class Hands:
    """What the steps of a row are done with."""

    findings: Findings
    services: Services
    reasons: Reasons
    teller: Teller


@frozen
class Glance:
    """What is recorded of the steps that are left, looked up for all of them at once.

    Another process can only know more of a step by what this one has made if that was `written` since: until then
    nobody else has seen the identities that were `made`.
    """

    written: int = 0
    records: Mapping[str, Record] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)


@record
class Row:
    """Done by `work`; after that `done` holds the results of the steps that are finished, and either nothing is left,
    or a step has `failed`, or another process is `busy` with one that has this key, or something that a step must read
    is `absent`."""

    hands: Hands
    stations: deque[Station] = field(default_factory=deque)
    done: dict[Digest, Done] = field(default_factory=dict)
    failed: tuple[Vertex, EngineError] | None = None
    busy: str = ""
    absent: Snapshot | None = None
    desk: Desk | None = None
    """Where it is at work now."""
    identities: Iterator[str] = field(default_factory=new_identities)
    glance: Glance = field(default_factory=lambda: Glance())

    def __str__(self) -> str:
        return f"at {self.stations[0].vertex.name}" if self.stations else "at its end"

    def work(self) -> None:
        """Goes on where it stopped, in a thread that trio has begun."""
        self.busy, self.absent, self.glance = "", None, Glance()
        last = self.stations[-1].vertex
        try:
            with self.hands.services.at_desk() as self.desk:
                self._go_on(self.desk)
        except EngineError as error:
            # What was done could not be recorded, and counts as not done.
            self.failed = last, error
            self.done.clear()
        finally:
            self.desk = None

    def write_meanwhile(self) -> None:
        """Has what is done recorded, in another thread than the one that is at work."""
        desk = self.desk
        if desk is not None:
            desk.write_meanwhile()

    def _go_on(self, desk: Desk) -> None:
        while self.stations:
            trio.from_thread.check_cancelled()
            station = self.stations[0]
            try:
                if not self._pass(station, desk):
                    return
            except EngineError as error:
                self.failed = station.vertex, error
                return
            self.stations.popleft()

    def _pass(self, station: Station, desk: Desk) -> bool:
        """Finishes a step; False if that has to wait."""
        inputs = self._inputs(station)
        checksums = station.checksums
        findings = self.hands.findings
        key = findings.content_key(station.vertex, inputs, checksums)
        if not desk.take(key):
            self.busy = key
            return False
        taken = findings.take(station.vertex, inputs, checksums)
        done = self._known(station, key, taken, desk)
        if done is None:
            self.absent = self._absent(taken)
            if self.absent is not None:
                return False
            done = self._run(station.vertex, taken, key, desk)
        self.done[station.vertex.digest] = done
        return True

    def _absent(self, taken: Sequence[Taken]) -> Snapshot | None:
        """An input that has to be brought here. What was made in this build is here."""
        known = (each.result for each in taken if not each.anew and isinstance(each.result, Snapshot))
        return next((result for result in known if self.hands.services.missing_bytes(result) is not None), None)

    def _inputs(self, station: Station) -> Inputs:
        return [
            (edge, dependency, station.inputs[n] if n in station.inputs else self.done[edge.vertex])
            for n, (edge, dependency) in enumerate(station.wanted)
        ]

    def _known(self, station: Station, key: str, taken: Sequence[Taken], desk: Desk) -> Done | None:
        vertex = station.vertex
        if vertex.note.ignore_cache:
            return None
        known = self._recorded(station, key, taken, desk)
        if known is None:
            return None
        findings = self.hands.findings
        desk.save(key, findings.keys.save.get(vertex.digest), known, vertex)
        findings.found.add(vertex.digest)
        self.hands.teller.cached([vertex.digest], How.CONTENT)
        return Done(known.results, known.identity)

    def _recorded(self, station: Station, key: str, taken: Sequence[Taken], desk: Desk) -> Record | None:
        """By its content, or by its definition: another process may have done it since the plan was made."""
        findings, glance = self.hands.findings, self.glance
        if glance.written != desk.written or glance.made.isdisjoint(each.identity for each in taken):
            definitions = (findings.keys.keys.get(each.vertex.digest) for each in self.stations)
            wanted = [key, *(each for each in definitions if each is not None)]
            glance = self.glance = Glance(desk.written, self.hands.services.records.find(wanted))
        definition = findings.keys.keys.get(station.vertex.digest)
        return glance.records.get(key) or (glance.records.get(definition) if definition else None)

    def _run(self, vertex: Vertex, taken: Sequence[Taken], key: str, desk: Desk) -> Done:
        hands = self.hands
        self._say_why(vertex, taken)
        begun = hands.teller.started(vertex.digest)
        hands.findings.begun.add(vertex.digest)
        try:
            results = desk.run(vertex, [each.result for each in taken])
        except trio.Cancelled:
            hands.teller.cancelled(vertex.digest)
            raise
        seconds = max(0.0, hands.teller.clock() - begun)
        made = Record(tuple(r if isinstance(r, Snapshot) else None for r in results), next(self.identities), seconds)
        desk.save(key, hands.findings.keys.save.get(vertex.digest), made, vertex)
        self.glance.made.add(made.identity)
        hands.findings.ran[vertex.digest] = seconds
        hands.teller.completed(vertex.digest)
        return Done(made.results, made.identity, cached=False)

    def _say_why(self, vertex: Vertex, taken: Sequence[Taken]) -> None:
        hands = self.hands
        reason, more = reason_of(vertex, taken, hands.reasons), 0
        changes = reason.changes
        if reason.files:
            facts = hands.findings.facts
            files, more = trio.from_thread.run(changed_files, reason, vertex, taken, facts, hands.services)
            changes += files
        hands.teller.must_run(vertex.digest, reason.cause.value, changes, more)

"""The state of a build as its events tell it: what every view shows, without knowing how it will look.

A vertex may start and complete several times (a look-up, then the run), and vertices of one progress group are one
step to a reader; so a step's time is the union of its members' intervals, kept as a running sum.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import field
from enum import Enum

from bakery.console.targets import Stage, TargetBoard
from bakery.console.titles import titled
from bakery.values import frozen, record
from engine.digests import Digest
from engine.events import (
    Event,
    LogChunk,
    Status,
    TargetEnded,
    VertexCompleted,
    VertexEvent,
    VertexKnown,
    VertexStarted,
    Warned,
)

TAIL_LINES = 10  # what BuildKit shows of a failed step
LONGEST_LINE = 64 * 1024  # a "line" longer than this is shown in pieces


class State(Enum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen
class LogLine:
    """One line that a step wrote, without its end; `offset` in seconds since the step began."""

    offset: float
    text: bytes


@record
class Clock:
    """The union of overlapping intervals, told in order of time."""

    open: int = 0
    began: float = 0.0
    """When the current interval began, or the last one if none is open."""
    ended: float = 0.0
    spent: float = 0.0

    def start(self, time: float) -> None:
        """An interval begins; what lies before the end of an earlier one was counted there."""
        if not self.open:
            self.began = max(time, self.ended)
        self.open += 1

    def stop(self, time: float) -> None:
        """An interval ends."""
        self.open -= 1
        if not self.open:
            self.ended = max(time, self.began)
            self.spent += self.ended - self.began

    def seconds(self, now: float) -> float:
        """Time spent until now."""
        return self.spent + (max(0.0, now - self.began) if self.open else 0.0)


@record
class Member:
    """One vertex of a step."""

    weak: bool = False
    started: bool = False
    running: bool = False
    cached: bool = False
    cancelled: bool = False
    error: str = ""

    @property
    def failure(self) -> str:
        """Its error; what was cancelled has not failed, whatever it says."""
        return "" if self.cancelled else self.error


@record
class Step:
    """What a reader knows as one step: a vertex, or a group of them."""

    key: str
    title: str
    members: dict[Digest, Member] = field(default_factory=dict)
    targets: dict[str, None] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    transfers: dict[str, Status] = field(default_factory=dict)
    warnings: list[Warned] = field(default_factory=list)
    inputs: dict[Digest, None] = field(default_factory=dict)
    tail: deque[LogLine] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    partial: bytes = b""
    partial_offset: float = 0.0
    state: State = State.WAITING
    hidden: bool = True
    """A group whose only members so far are weak, and well, is not worth a line."""

    @property
    def error(self) -> str:
        """The first error of its members."""
        return next((m.failure for m in self.members.values() if m.failure), "")

    @property
    def finished(self) -> bool:
        """Whether it has ended, as far as is known now."""
        return self.state not in (State.WAITING, State.RUNNING)

    def hide_if_weak(self) -> None:
        """Has it hidden if there is nothing in it to be seen, and seen if there is."""
        self.hidden = all(member.weak and not member.failure for member in self.members.values())

    def judge(self) -> State:
        """Its state, from what its members say."""
        if self.clock.open:
            return State.RUNNING
        state = State.WAITING
        for member in self.members.values():
            if not member.started:
                continue
            if member.failure:
                return State.FAILED
            if member.cancelled or state is State.CANCELLED:
                state = State.CANCELLED
            elif not member.cached or state is State.DONE:
                state = State.DONE
            else:
                state = State.CACHED
        return state


@frozen
class Change:
    """What one event did: the step it belongs to, and the whole log lines it brought."""

    step: Step
    lines: tuple[LogLine, ...] = ()


class Model:
    """All steps of a build. `targets` are the names of what is built: with several, titles of steps carry them."""

    def __init__(self, targets: Iterable[str] = ()) -> None:
        self.targets = tuple(targets)
        self.board = TargetBoard(self.targets)
        self.began: float | None = None
        self.steps: dict[str, Step] = {}
        self.shown: list[Step] = []
        """Steps that have started, in the order of their first start."""
        self.running: dict[str, Step] = {}
        self.total = 0
        self.finished = 0
        self.cached = 0
        self._by_digest: dict[Digest, Step] = {}
        self._counted: dict[str, State] = {}
        self._revealed: set[str] = set()

    def apply(self, event: Event) -> Change | None:
        """Take an event in; None if it is about no step. What belongs to no known vertex makes one of that digest."""
        if isinstance(event, TargetEnded):
            self.board.end(event.name, event.time, event.outcome)
            return None
        step = self._step(event)
        lines: tuple[LogLine, ...] = ()
        match event:
            case LogChunk():
                lines = _take_lines(step, event)
            case Status():
                step.transfers[event.id] = event
            case Warned():
                step.warnings.append(event)
            case VertexKnown():
                self._know(step, event)
                self._account(step)
            case VertexStarted():
                self._start(step, event)
                self._account(step)
            case VertexCompleted():
                lines = self._complete(step, event)
                self._account(step)
        return Change(step, lines)

    def title(self, step: Step) -> str:
        """A step's name; where several targets are built, with the names of those that want it."""
        return titled(step.title, step.targets) if len(self.targets) > 1 else step.title

    def inputs_of(self, step: Step) -> list[str]:
        """The keys of the steps that a step builds upon."""
        found = (self._by_digest.get(digest) for digest in step.inputs)
        return [other.key for other in found if other is not None and other is not step]

    def failures(self) -> list[Step]:
        """Steps that failed, in the order they were started."""
        return [step for step in self.shown if step.state is State.FAILED]

    def warnings(self) -> list[Warned]:
        """Every warning, in the order of the steps they belong to."""
        return [warning for step in self.steps.values() for warning in step.warnings]

    def _step(self, event: VertexEvent) -> Step:
        step = self._by_digest.get(event.digest)
        if step is not None:
            return step
        group = event.group if isinstance(event, VertexKnown) else None
        name = event.name if isinstance(event, VertexKnown) else event.digest
        key = group.id if group else event.digest
        step = self.steps.setdefault(key, Step(key, group.name if group else name))
        weak = bool(group and group.weak)
        step.members[event.digest] = Member(weak)
        step.hidden = step.hidden and weak
        self._by_digest[event.digest] = step
        if not isinstance(event, VertexKnown):  # which is accounted for when all of it is taken in
            self._account(step)
        return step

    def _know(self, step: Step, event: VertexKnown) -> None:
        if not event.group and event.name:
            step.title = event.name
        step.inputs.update(dict.fromkeys(event.inputs))
        new = [name for name in event.targets if name not in step.targets]
        step.targets.update(dict.fromkeys(new))
        counted = self._counted.get(step.key)
        if new and counted is not None:
            self.board.move(new, None, _stage(counted), step.clock.began)

    def _start(self, step: Step, event: VertexStarted) -> None:
        if self.began is None:
            self.began = event.time
        member = step.members[event.digest]
        if member.running:
            return
        member.started = member.running = True
        member.cached = member.cancelled = False
        member.error = ""
        if member.weak:
            step.hide_if_weak()
        step.clock.start(event.time)

    def _complete(self, step: Step, event: VertexCompleted) -> tuple[LogLine, ...]:
        member = step.members[event.digest]
        if not member.running:  # a cached vertex needs no start of its own
            self._start(step, VertexStarted(event.digest, event.time))
        member.running = False
        member.cached, member.cancelled, member.error = event.cached, event.cancelled, event.error
        if member.weak:
            step.hide_if_weak()
        step.clock.stop(event.time)
        return _end_line(step)

    def _account(self, step: Step) -> None:
        """Bring lists and counts up to date after a step has changed, without looking at the others."""
        state, key = step.judge(), step.key
        step.state = state
        if step.hidden:
            self.running.pop(key, None)
            return
        if state is State.RUNNING:
            self.running.setdefault(key, step)
        else:
            self.running.pop(key, None)
        if state is not State.WAITING and key not in self._revealed:
            self._revealed.add(key)
            self.shown.append(step)
        before = self._counted.get(key)
        if before is state:
            return
        self._counted[key] = state
        if step.targets:
            old = None if before is None else _stage(before)
            self.board.move(step.targets, old, _stage(state), step.clock.began)
        self.total += before is None
        self.finished += _is_end(state) - _is_end(before)
        self.cached += (state is State.CACHED) - (before is State.CACHED)


def _is_end(state: State | None) -> bool:
    return state is not None and state is not State.WAITING and state is not State.RUNNING


def _stage(state: State) -> Stage:
    if _is_end(state):
        return Stage.ENDED
    return Stage.RUNNING if state is State.RUNNING else Stage.WAITING


def _take_lines(step: Step, chunk: LogChunk) -> tuple[LogLine, ...]:
    offset = max(0.0, chunk.time - step.clock.began) if step.clock.began else 0.0
    first, *rest = chunk.data.split(b"\n")
    if not step.partial:
        step.partial_offset = offset
    step.partial += first
    lines: list[LogLine] = []
    for piece in rest:
        lines.append(LogLine(step.partial_offset, step.partial))
        step.partial, step.partial_offset = piece, offset
    if len(step.partial) > LONGEST_LINE:
        # What a carriage return will paint over need not be kept: a progress bar is one line for minutes.
        step.partial = step.partial[step.partial.rfind(b"\r", 0, -1) + 1 :]
    while len(step.partial) > LONGEST_LINE:
        lines.append(LogLine(step.partial_offset, step.partial[:LONGEST_LINE]))
        step.partial = step.partial[LONGEST_LINE:]
    step.tail.extend(lines)
    return tuple(lines)


def _end_line(step: Step) -> tuple[LogLine, ...]:
    if not step.partial:
        return ()
    line = LogLine(step.partial_offset, step.partial)
    step.partial = b""
    step.tail.append(line)
    return (line,)

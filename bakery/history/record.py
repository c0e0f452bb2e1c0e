"""A build read back: its targets, its vertices with what happened to them, and what they wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bakery.history.lines import parse
from bakery.history.summary import EVENTS, FACTS, LOGS, RESULT, UNREADABLE, BuildSummary, finite, read_json
from bakery.values import frozen
from engine.digests import Digest
from engine.events import Change, Decided, How

_FAR = 100_000
"""A vertex's number is never so far beyond those that are known: it is damaged then, and would cost memory."""


_FORMS = {"command": list, "files": list, "machine": dict, "git": dict, "ci": dict, "targets": dict}


@frozen
class Moved:
    """One transfer of a vertex, such as a layer that was fetched; bytes, and seconds since the epoch."""

    part: str
    bytes: int
    total: int
    began: float
    ended: float
    completed: bool


@frozen
class RecordedWarning:
    """A warning that belongs to a vertex, with its place if it has one (`line` 0: none)."""

    short: str
    detail: tuple[str, ...] = ()
    url: str = ""
    level: int = 1
    file: str = ""
    line: int = 0


@frozen
class LogLine:
    """One line that a step wrote; `time` in seconds since the epoch, `stream` 1 or 2. `gap`: bytes left out here."""

    time: float
    stream: int
    text: bytes
    gap: int = 0


@dataclass(slots=True)
class RecordedVertex:
    """One vertex and what happened to it. `intervals` are the times in which it was worked on; they may overlap."""

    number: int
    digest: str
    name: str
    inputs: tuple[int, ...] = ()
    """Numbers of other vertices of the same build."""
    targets: tuple[str, ...] = ()
    group: str = ""
    weak: bool = False
    intervals: list[tuple[float, float]] = field(default_factory=list)
    cached: bool = False
    """Whether it was found, and never worked on."""
    error: str = ""
    cancelled: bool = False
    ended: float = 0.0
    """When it was last heard of; 0 if never."""
    moves: list[Moved] = field(default_factory=list)
    warnings: list[RecordedWarning] = field(default_factory=list)
    decided: Decided | None = None
    """What was decided about it, and why; None if it was simply known, or not needed."""

    @property
    def internal(self) -> bool:
        """Whether it is the engine's own work, such as reading a Dockerfile, and no step of any target."""
        return not self.targets

    @property
    def state(self) -> str:
        """`failed`, `cancelled`, `hit`, `ran`, `unfinished` or, where it was not needed, `idle`."""
        if self.error and not self.cancelled:
            return "failed"
        if self.cancelled:
            return "cancelled"
        if self.intervals:
            return "ran" if self.ended else "unfinished"
        return "hit" if self.cached else "idle"

    @property
    def began(self) -> float:
        """When work on it first began; when it was found, if there was none."""
        return min((start for start, _ in self.intervals), default=self.ended)

    @property
    def left(self) -> float:
        """When work on it last ended, or was last heard of."""
        return max((end for _, end in self.intervals), default=self.ended)

    @property
    def seconds(self) -> float:
        """How long it was worked on: what its intervals cover together."""
        covered, reached = 0.0, 0.0
        for start, end in sorted(self.intervals):
            covered += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        return covered


@frozen
class RecordedLayer:
    """One layer of a result: bytes on disk (0 while it is not here), packed (0 if it never was), and what made it."""

    id: str
    size: int = 0
    packed: int = 0
    by: str = ""


@frozen
class RecordedTarget:
    """How one target ended. `outcome` is empty for one whose build did not come so far."""

    name: str
    facts: Mapping[str, Any]
    outcome: str = ""
    seconds: float = 0.0
    steps: int = 0
    hits: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    size: int = 0
    """Bytes of its biggest output, packed; 0 without any."""
    layers: Mapping[str, tuple[RecordedLayer, ...]] = field(default_factory=dict)
    """The layers of each platform, the lowest first."""


@dataclass(frozen=True)
class RecordedBuild:
    """A recorded build. Events are read when first asked for, logs each time."""

    path: Path
    summary: BuildSummary
    facts: Mapping[str, Any]
    """`facts.json` as it is: command, folder, files, git, machine, ci."""
    result: Mapping[str, Any]
    """`result.json` as it is; empty without one."""

    def check(self) -> None:
        """Raises one of UNREADABLE if what others rely on is not there."""
        _ = self.targets, self.vertices, self.ended
        for name, kind in _FORMS.items():
            if not isinstance(self.facts.get(name, kind()), kind):
                raise TypeError(name)
        _ = [(file["name"], file["sha256"]) for file in self.facts.get("files", ())]

    @property
    def id(self) -> str:
        """Its ID."""
        return self.summary.id

    @property
    def error(self) -> str:
        """What kept the whole build from its end."""
        return str(self.result.get("error", ""))

    @cached_property
    def targets(self) -> Mapping[str, RecordedTarget]:
        """Its targets by name, in the order they were asked for."""
        ended: Mapping[str, Any] = self.result.get("targets", {})
        names = dict.fromkeys([*self.facts.get("targets", {}), *ended])
        asked: Mapping[str, Any] = self.facts.get("targets", {})
        layers: Mapping[str, Any] = self.result.get("layers", {})
        return {name: _target(name, asked.get(name, {}), ended.get(name), layers) for name in names}

    @cached_property
    def vertices(self) -> tuple[RecordedVertex, ...]:
        """Its vertices by number."""
        return tuple(_Reader(self.path / EVENTS).vertices())

    @cached_property
    def by_digest(self) -> Mapping[str, RecordedVertex]:
        """Its vertices by digest."""
        return {vertex.digest: vertex for vertex in self.vertices}

    @property
    def began(self) -> float:
        """When it began."""
        return self.summary.began

    @property
    def ended(self) -> float:
        """When it ended, or was last heard of."""
        if self.result:
            return finite(self.result["ended"])
        return max((vertex.left for vertex in self.vertices if vertex.left), default=self.began)

    def logs(self, vertex: RecordedVertex | None = None) -> Iterator[tuple[RecordedVertex, LogLine]]:
        """What a vertex wrote, or all of them, line by line, in the order of the ends of the lines."""
        open_: dict[tuple[int, int], LogLine] = {}
        for line in _lines(self.path / LOGS):
            try:
                number = int(line[1])
                if not 0 <= number < len(self.vertices) or (vertex is not None and number != vertex.number):
                    continue
                if line[0] == "gap":
                    found = [LogLine(0.0, 0, b"", int(line[2]))]
                else:
                    found = _whole(open_, number, finite(line[2]), int(line[3]), str(line[4]))
            except UNREADABLE:
                continue  # damaged: the other lines are still worth reading
            for whole in found:
                yield self.vertices[number], whole
        for (number, _), rest in open_.items():
            yield self.vertices[number], rest


def read_build(path: Path, summary: BuildSummary) -> RecordedBuild:
    """A build from its folder."""
    return RecordedBuild(path, summary, read_json(path / FACTS) or {}, read_json(path / RESULT) or {})


class _Reader:
    """Plays the lines of `events.jsonl`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[int, RecordedVertex] = {}
        self._owners: dict[int, tuple[str, ...]] = {}
        self._open: dict[int, list[float]] = {}
        self._latest = 0.0

    def vertices(self) -> list[RecordedVertex]:
        """All vertices by number."""
        for line in _lines(self._path):
            try:
                self._play(line)
            except UNREADABLE:
                continue  # of another version, or damaged: what is readable still is
        for number, starts in self._open.items():
            vertex = self._vertex(number)
            vertex.intervals += [(start, max(start, self._latest)) for start in starts]
        return [self._vertex(number) for number in range(max(self._found, default=-1) + 1)]

    def _vertex(self, number: int) -> RecordedVertex:
        if not 0 <= number <= len(self._found) + _FAR:
            raise ValueError(number)
        if number not in self._found:
            self._found[number] = RecordedVertex(number, "", "")
        return self._found[number]

    def _play(self, line: list[Any]) -> None:
        kind, number, *rest = line
        if kind == "target":
            return  # what `result.json` has; here for builds that never came to write one
        if kind == "owners":
            self._owners[number] = tuple(map(str, rest[0]))
            return
        vertex = self._vertex(int(number))
        match kind:
            case "known":
                self._know(vertex, *rest)
            case "hit":
                self._latest = max(self._latest, finite(rest[0]))
                vertex.cached, vertex.ended = not vertex.intervals, finite(rest[0])
            case "start":
                self._latest = max(self._latest, finite(rest[0]))
                self._open.setdefault(number, []).append(finite(rest[0]))
                vertex.cached = False
            case "end":
                time, error, cancelled = rest
                self._end(vertex, finite(time), str(error), bool(cancelled))
            case "move":
                part, size, total, began, ended, *completed = rest
                self._latest = max(self._latest, finite(ended))
                times = finite(began), finite(ended)
                vertex.moves.append(Moved(str(part), int(size), int(total), *times, *map(bool, completed)))
            case "why":
                how, cause, changes, more = rest
                found = tuple(_change(*change) for change in changes)
                vertex.decided = Decided(Digest(vertex.digest), How(how), str(cause), found, int(more))
            case "warn":
                short, detail, url, level, file, place = rest
                texts = tuple(map(str, detail))
                vertex.warnings.append(RecordedWarning(str(short), texts, str(url), int(level), str(file), place))

    def _know(
        self,
        vertex: RecordedVertex,
        digest: str,
        name: str,
        inputs: list[int],
        owners: int,
        group: str = "",
        group_name: str = "",
        weak: bool = False,
    ) -> None:
        vertex.digest, vertex.name, vertex.inputs = str(digest), str(group_name or name), tuple(map(int, inputs))
        vertex.targets = tuple(dict.fromkeys(vertex.targets + self._owners.get(owners, ())))
        vertex.group, vertex.weak = str(group), bool(weak)

    def _end(self, vertex: RecordedVertex, time: float, error: str, cancelled: bool) -> None:
        starts = self._open.get(vertex.number)
        start = starts.pop(0) if starts else time
        self._latest = max(self._latest, time)
        if not starts:
            self._open.pop(vertex.number, None)
        vertex.intervals.append((start, time))
        vertex.cached, vertex.error, vertex.cancelled, vertex.ended = False, error, cancelled, time


def _change(kind: object, name: object, before: object, after: object) -> Change:
    return Change(str(kind), str(name), None if before is None else str(before), None if after is None else str(after))


def _lines(path: Path) -> Iterator[list[Any]]:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return iter(())
    return parse(text)


def _whole(open_: dict[tuple[int, int], LogLine], number: int, time: float, stream: int, text: str) -> list[LogLine]:
    """The lines that a piece of a log completes. A line has the time of its beginning."""
    first, *rest = text.encode("utf-8", "surrogateescape").split(b"\n")
    held = open_.pop((number, stream), None)
    held = LogLine(held.time, stream, held.text + first) if held else LogLine(time, stream, first)
    found: list[LogLine] = []
    for piece in rest:
        found.append(held)
        held = LogLine(time, stream, piece)
    if held.text:
        open_[number, stream] = held
    return found


def _target(
    name: str, facts: Mapping[str, Any], ended: Mapping[str, Any] | None, layers: Mapping[str, Any]
) -> RecordedTarget:
    if ended is None:
        return RecordedTarget(name, facts)
    return RecordedTarget(
        name,
        facts,
        str(ended["outcome"]),
        finite(ended["seconds"]),
        int(ended["steps"]),
        int(ended["hits"]),
        ended.get("metadata", {}),
        str(ended.get("error", "")),
        int(ended.get("size", 0)),
        {platform: tuple(_layer(id_, layers) for id_ in ids) for platform, ids in ended.get("layers", {}).items()},
    )


def _layer(id_: str, layers: Mapping[str, Any]) -> RecordedLayer:
    found = layers.get(id_, {})
    return RecordedLayer(id_, found.get("size") or 0, found.get("packed") or 0, found.get("by", ""))

"""Two builds side by side: what was asked for, how each target ended, and which steps went another way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakery.history.record import RecordedBuild, RecordedTarget, RecordedVertex
from bakery.values import frozen

SLOWER = 1.0
"""Seconds from which on a difference in time is worth telling, if it is a tenth as well."""


@frozen
class TargetPair:
    """One target in both builds; None where it was not asked for."""

    name: str
    before: RecordedTarget | None
    after: RecordedTarget | None


@frozen
class StepPair:
    """One step in both builds, matched by digest, else by targets and name; None where there was none."""

    name: str
    targets: tuple[str, ...]
    before: RecordedVertex | None
    after: RecordedVertex | None

    @property
    def gained(self) -> float:
        """Seconds that the later build took more for it."""
        return (self.after.seconds if self.after else 0.0) - (self.before.seconds if self.before else 0.0)

    @property
    def telling(self) -> bool:
        """Whether it went another way, or took a clearly different time."""
        if self.before is None or self.after is None:
            return True
        return self.before.state != self.after.state or (
            abs(self.gained) >= SLOWER and abs(self.gained) >= 0.1 * max(self.before.seconds, self.after.seconds)
        )


@frozen
class Comparison:
    """What is different from `before` to `after`. `conditions`: what was asked for or where, old and new value."""

    before: RecordedBuild
    after: RecordedBuild
    conditions: Mapping[str, tuple[str, str]]
    targets: tuple[TargetPair, ...]
    steps: tuple[StepPair, ...]
    """All steps that went another way, those that cost most first."""


def compare(before: RecordedBuild, after: RecordedBuild) -> Comparison:
    """What changed between two builds."""
    names = dict.fromkeys([*after.targets, *before.targets])
    pairs = [pair for pair in _pairs(before, after) if pair.telling]
    return Comparison(
        before,
        after,
        _conditions(before, after),
        tuple(TargetPair(name, before.targets.get(name), after.targets.get(name)) for name in names),
        tuple(sorted(pairs, key=lambda pair: -abs(pair.gained))),
    )


def _conditions(before: RecordedBuild, after: RecordedBuild) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    one, other = _flat(before), _flat(after)
    for key in dict.fromkeys([*one, *other]):
        if one.get(key, "") != other.get(key, ""):
            found[key] = one.get(key, ""), other.get(key, "")
    return found


def _flat(build: RecordedBuild) -> dict[str, str]:
    facts = build.facts
    found = {
        "command": " ".join(map(str, facts.get("command", ()))),
        "folder": str(facts.get("folder", "")),
        "commit": build.summary.commit,
        "branch": build.summary.branch,
        **{f"machine: {key}": str(value) for key, value in facts.get("machine", {}).items()},
    }
    found |= {f"file: {file['name']}": str(file["sha256"])[:12] for file in facts.get("files", ())}
    for name, target in facts.get("targets", {}).items():
        found |= {f"{name}: {key}": _text(value) for key, value in target.items() if key != "requested"}
    return found


def _text(value: object) -> str:
    match value:
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{key}={item}" for key, item in value.items())
        case _:
            return str(value)


def _pairs(before: RecordedBuild, after: RecordedBuild) -> Iterator[StepPair]:
    old = [vertex for vertex in before.vertices if vertex.targets]
    by_digest = {vertex.digest: vertex for vertex in old}
    by_name = {(name, vertex.name): vertex for vertex in old for name in vertex.targets}
    taken: set[int] = set()
    for vertex in after.vertices:
        if not vertex.targets:
            continue
        match = by_digest.get(vertex.digest)
        if match is None:
            named = (by_name.get((name, vertex.name)) for name in vertex.targets)
            match = next((other for other in named if other and other.number not in taken), None)
        if match is not None:
            taken.add(match.number)
        yield StepPair(vertex.name, vertex.targets, match, vertex)
    for vertex in old:
        if vertex.number not in taken:
            yield StepPair(vertex.name, vertex.targets, vertex, None)

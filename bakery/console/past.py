"""Recorded builds as text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from bakery.console.table import columns
from bakery.console.text import duration, plural, printable, size
from bakery.history.comparison import Comparison, StepPair, TargetPair
from bakery.history.critical_path import critical_path
from bakery.history.reasons import why
from bakery.history.record import RecordedBuild, RecordedTarget, RecordedVertex
from bakery.history.summary import BuildSummary

SLOWEST, PATH, DIFFERENT = 10, 12, 20
"""How many steps of each list are shown."""
LONGEST = 72
"""Characters of a step's name."""


def listing(builds: Sequence[BuildSummary]) -> str:
    """One line for each build."""
    if not builds:
        return "No build is recorded yet. `bakery build` records each one.\n"
    rows = [
        (
            b.id,
            when(b.began),
            b.state,
            duration(b.seconds) if b.seconds else "",
            _hits(b.hits, b.steps),
            _at(b),
            _few(b),
        )
        for b in builds
    ]
    return columns(("BUILD", "BEGAN", "RESULT", "TIME", "CACHED", "COMMIT", "TARGETS"), rows)


def build(found: RecordedBuild) -> str:
    """All that is worth knowing of one build."""
    parts = ["".join(_head(found)), _targets(found)]
    slow = sorted((v for v in found.vertices if v.intervals), key=lambda v: -v.seconds)[:SLOWEST]
    if slow:
        rows: list[tuple[str, ...]] = [(duration(v.seconds), _name(v), why(v.decided)) for v in slow]
        parts.append(columns(("SLOWEST", "STEP", "WHY IT RAN"), rows))
    path = critical_path(found.vertices)
    if len(path) > 1:
        rows = [(duration(hop.vertex.seconds), _waited(hop.waited), _name(hop.vertex)) for hop in path[-PATH:]]
        parts.append(columns(("TOOK", "WAITED", "CRITICAL PATH"), rows))
    parts.append("".join(_ends(found)))
    return "\n".join(filter(None, parts))


def comparison(found: Comparison) -> str:
    """What is different between two builds."""
    before, after = found.before, found.after
    took = f"{duration(before.summary.seconds)} → {duration(after.summary.seconds)}"
    head = f"{before.id} → {after.id}: {before.summary.state} → {after.summary.state}, {took}\n"
    parts = [head]
    if found.conditions:
        changed = [(key, old or "-", new or "-") for key, (old, new) in found.conditions.items()]
        parts.append(columns(("CHANGED", "BEFORE", "AFTER"), changed))
    parts.append(columns(("TARGET", "BEFORE", "AFTER", "DIGEST"), [_target_pair(pair) for pair in found.targets]))
    if found.steps:
        rows = [_step_pair(pair) for pair in found.steps[:DIFFERENT]]
        text = columns(("STEP", "BEFORE", "AFTER", "WHY"), rows)
        rest = len(found.steps) - len(rows)
        parts.append(text + (f"and {plural(rest, 'other step')}\n" if rest else ""))
    else:
        parts.append("Every step went the same way.\n")
    return "\n".join(filter(None, parts))


def when(moment: float) -> str:
    """A time of this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _head(found: RecordedBuild) -> Iterator[str]:
    summary, facts = found.summary, found.facts
    yield f"{found.id}  {summary.state}  {duration(found.ended - found.began)}\n"
    machine = {"system": "?", "cores": "?", "bakery": "?"} | facts.get("machine", {})
    about = {
        "began": when(found.began),
        "command": " ".join(facts.get("command", ())),
        "folder": facts.get("folder", ""),
        "files": ", ".join(file["name"] for file in facts.get("files", ())),
        "commit": f"{summary.commit} {summary.branch}{' (changed)' if summary.changed else ''}".strip(),
        "machine": f"{machine['system']}, {machine['cores']} cores, bakery {machine['bakery']}",
        "ci": " ".join(facts.get("ci", {}).values()),
        "error": found.error,
    }
    yield from (f"  {key:<8} {printable(value.encode())}\n" for key, value in about.items() if value)


def _targets(found: RecordedBuild) -> str:
    rows = [
        (t.name, t.outcome or "-", duration(t.seconds), _hits(t.hits, t.steps), _digest(t), _names(t))
        for t in found.targets.values()
    ]
    return columns(("TARGET", "RESULT", "TIME", "CACHED", "DIGEST", "NAMES"), rows)


def _ends(found: RecordedBuild) -> Iterator[str]:
    moved = sum(m.bytes for v in found.vertices for m in v.moves if v.targets or m.total)
    if moved:
        yield f"Moved: {size(moved)}\n"
    for vertex in found.vertices:
        if vertex.state == "failed":
            yield f"Failed: {_name(vertex)}\n  {printable(vertex.error.encode())}\n"
            yield f"  its log: bakery history logs {found.id} --failed\n"
    yield f"As a page: bakery report {found.id}\n"


def _target_pair(pair: TargetPair) -> tuple[str, ...]:
    one, other = pair.before, pair.after
    digests = (_digest(one) if one else "", _digest(other) if other else "")
    same = "same" if digests[0] == digests[1] and digests[0] else f"{digests[0]} → {digests[1]}" if any(digests) else ""
    return pair.name, _ended(one), _ended(other), same


def _ended(target: RecordedTarget | None) -> str:
    if target is None:
        return "not asked for"
    if not target.outcome:
        return "-"
    return f"{target.outcome} {duration(target.seconds)} {_hits(target.hits, target.steps)}"


def _step_pair(pair: StepPair) -> tuple[str, ...]:
    reason = why(pair.after.decided) if pair.after else ""
    return _name(pair.after or pair.before), _went(pair.before), _went(pair.after), reason


def _went(vertex: RecordedVertex | None) -> str:
    if vertex is None:
        return "-"
    return f"{vertex.state} {duration(vertex.seconds)}" if vertex.intervals else vertex.state


def _name(vertex: RecordedVertex | None) -> str:
    if vertex is None:
        return ""
    first, *others = vertex.targets or ("",)
    owner = f"{first}+{len(others)}: " if others else f"{first}: " if first else ""
    text = printable(f"{owner}{vertex.name}".replace("\n", " ").encode())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _hits(hits: int, steps: int) -> str:
    return f"{hits}/{steps}" if steps else ""


def _at(summary: BuildSummary) -> str:
    return f"{summary.commit[:8]}{'*' if summary.changed else ''}" if summary.commit else ""


def _few(summary: BuildSummary) -> str:
    names = ", ".join(summary.targets[:4])
    return names if len(summary.targets) <= 4 else f"{names}, … ({len(summary.targets)})"


def _digest(target: RecordedTarget) -> str:
    return target.metadata.get("containerimage.digest", "")[:19]


def _names(target: RecordedTarget) -> str:
    return target.metadata.get("image.name", "").replace(",", " ")


def _waited(seconds: float) -> str:
    return duration(seconds) if seconds >= 0.05 else ""

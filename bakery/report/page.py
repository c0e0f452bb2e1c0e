"""The page of a build: its facts arranged for `report.html`."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from typing import Any

from bakery.console.past import when
from bakery.console.text import duration, plural, printable, size
from bakery.history.comparison import Comparison
from bakery.history.critical_path import critical_path
from bakery.history.reasons import cause, why
from bakery.history.record import RecordedBuild, RecordedVertex
from bakery.report.sizes import distinct_size, stacks
from bakery.report.timeline import timeline

MISSES, STEPS, HOPS = 200, 30, 100
"""Rows that a table shows at most; the timeline has all."""


def render(build: RecordedBuild, comparison: Comparison | None = None) -> str:
    """The whole page. `comparison` is with the build before."""
    path = critical_path(build.vertices)
    template = _environment().from_string(_file("report.html"))
    text: str = template.render(
        build=build,
        summary=build.summary,
        facts=build.facts,
        numbers=_numbers(build),
        path=path[-HOPS:],
        path_seconds=sum(hop.vertex.seconds + hop.waited for hop in path),
        misses=_misses(build),
        reasons=_reasons(build),
        stacks=stacks(build),
        all_layers=distinct_size(build),
        failed=[vertex for vertex in build.vertices if vertex.state == "failed"],
        warnings=[(vertex, warning) for vertex in build.vertices for warning in vertex.warnings],
        comparison=comparison,
        most_steps=STEPS,
        style=_file("report.css"),
        script=_file("report.js"),
        data=_embedded(timeline(build, path)),
    )
    return text


def _environment() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "duration": duration,
        "size": size,
        "when": when,
        "why": lambda vertex: why(vertex.decided),
        "shown": lambda text: printable(str(text).replace("\n", " ").encode("utf-8", "replace")),
        "count": plural,
    }
    return environment


def _file(name: str) -> str:
    return (files("bakery.report") / name).read_text(encoding="utf-8")


def _embedded(value: object) -> Any:
    """JSON inside a script element, where nothing may look like the element's end."""
    from markupsafe import Markup

    return Markup(json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c"))


def _numbers(build: RecordedBuild) -> dict[str, Any]:
    """What the head of the page counts. `busy`: how many steps were at work at once, in the middle."""
    states = Counter(vertex.state for vertex in build.vertices if vertex.targets)
    work = sum(vertex.seconds for vertex in build.vertices)
    wall = max(build.ended - build.began, 0.001)
    return {
        "states": states,
        "steps": sum(states.values()) - states["idle"],
        "work": work,
        "busy": work / wall,
        "moved": sum(moved.bytes for vertex in build.vertices for moved in vertex.moves),
    }


def _misses(build: RecordedBuild) -> list[RecordedVertex]:
    ran = [vertex for vertex in build.vertices if vertex.intervals and vertex.targets]
    return sorted(ran, key=lambda vertex: -vertex.seconds)[:MISSES]


def _reasons(build: RecordedBuild) -> list[tuple[str, int, float]]:
    """Each cause with how many steps it made run, and the seconds that they took."""
    counts: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for vertex in build.vertices:
        if vertex.intervals and vertex.targets and vertex.decided and vertex.decided.cause:
            words = cause(vertex.decided)
            counts[words] += 1
            seconds[words] = seconds.get(words, 0.0) + vertex.seconds
    return [(words, count, seconds[words]) for words, count in counts.most_common()]

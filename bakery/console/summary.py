"""The end of a build in a few lines: one for each target, then what was noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bakery.console.model import Model
from bakery.console.text import plural, printable, size
from engine.events import Warned
from engine.request import BuildResult, Outcome, TargetResult

TARGETS_SHOWN = 30
WARNINGS_SHOWN = 20
SLOWEST_SHOWN = 3
NAMED = 3
"""Failed targets that a suggested command names."""
KEPT = "next: no output was asked for, so nothing left the cache: give --load, --push or an `output`\n"
"""For who looks for an image now."""
WORTH_TELLING = 5.0
"""Seconds from which on a step is called slow."""
_WORDS = {
    Outcome.SUCCEEDED: "built",
    Outcome.CACHED: "cached",
    Outcome.FAILED: "FAILED",
    Outcome.CANCELLED: "canceled",
    Outcome.NOT_STARTED: "not started",
}
_FIRST = (Outcome.FAILED, Outcome.CANCELLED)
"""Of which there is most to say."""


def targets(result: BuildResult, columns: int = 0) -> str:
    """A line for each target: how it ended, in what time, how many steps were known, its digest and names.

    Of very many targets those that did not end well are shown first, then the slowest; the last line counts the rest.
    Where a line is wider than the `columns` of the screen, if that is known, the names come below.
    """
    all_ = list(result.targets.values())
    shown = all_
    if len(all_) > TARGETS_SHOWN:
        shown = sorted(all_, key=_interest)[:TARGETS_SHOWN]
    width = max((len(target.name) for target in shown), default=0)
    lines = [line for target in shown for line in _lines(target, width, columns)]
    if len(shown) < len(all_):
        counts = Counter(_WORDS[target.outcome] for target in all_)
        lines.append(f" {len(all_):,} targets: " + ", ".join(f"{n:,} {word}" for word, n in counts.items()))
    return "".join(f"{line}\n" for line in lines)


def _interest(target: TargetResult) -> tuple[bool, bool, float]:
    return target.outcome not in _FIRST, target.outcome is Outcome.NOT_STARTED, -target.seconds


def _lines(target: TargetResult, width: int, columns: int) -> Iterable[str]:
    words = [f" {target.name:<{width}}  {_WORDS[target.outcome]:<8}"]
    if target.outcome is not Outcome.NOT_STARTED:
        words.append(f"{target.seconds:6.1f}s")
        if target.steps:  # what is exported again, or is its base image, has none
            words.append(f"{target.hits}/{plural(target.steps, 'step')} cached")
    if target.size:
        words.append(size(target.size))
    if digest := target.metadata.get("containerimage.digest"):
        words.append(digest[:19])
    line = "  ".join(words).rstrip()
    names = target.metadata.get("image.name", "").replace(",", " ")
    together = f"{line}  {names}".rstrip()
    yield from [together] if not columns or len(together) < columns else [line, f" {'':{width}}  {names}"]


def next_steps(result: BuildResult) -> str:
    """What one may want to do now that something has failed, or was ended."""
    failed = [target.name for target in result.targets.values() if target.outcome is Outcome.FAILED]
    if not failed:
        return "next: the same command goes on from here, what has ended is kept\n" if result.stopped else ""
    names = " ".join(failed) if len(failed) <= NAMED else "TARGET"
    again = f"`bakery build {names}` for these alone, " if len(failed) < len(result.targets) else ""
    return f"next: {again}`bakery history logs --failed` for whole logs, `bakery report` for a page\n"


def slowest(model: Model, now: float) -> str:
    """The steps that took longest, where a build took so long that one may ask."""
    steps = [step for step in model.shown if step.clock.seconds(now) >= WORTH_TELLING]
    steps = sorted(steps, key=lambda step: -step.clock.seconds(now))[:SLOWEST_SHOWN]
    lines = [f" {step.clock.seconds(now):6.1f}s  {printable(model.title(step).encode())}" for step in steps]
    return "\n".join(["", " slowest steps:", *lines, ""]) if lines else ""


def warnings(found: Sequence[Warned], debug: bool = False) -> str:
    """What the frontends warned of, each once: a line, and with `debug` the explanation and its address."""
    unique = list({(w.short, _place(w)): w for w in found}.values())
    if not unique:
        return ""
    more = "" if debug else " (use --debug to expand)"
    lines = ["", f" {plural(len(unique), 'warning')} found{more}:"]
    shown = unique if debug else unique[:WARNINGS_SHOWN]
    lines += [line for warning in shown for line in _warning(warning, debug)]
    if len(shown) < len(unique):
        lines.append(f" - and {len(unique) - len(shown):,} more")
    return "".join(f"{line}\n" for line in lines)


def _warning(warning: Warned, debug: bool) -> Iterable[str]:
    place = _place(warning)
    # BuildKit's checks say the line at the end of the text already, but not which file it is in.
    short = warning.short.removesuffix(f" (line {place.rpartition(':')[2]})")
    yield f" - {printable(short.encode())}" + (f" ({place})" if place else "")
    if debug:
        yield from (f"   {printable(line.encode())}" for line in warning.detail)
        if warning.url:
            yield f"   {printable(warning.url.encode())}"


def _place(warning: Warned) -> str:
    for place in warning.places:
        for range_ in place.ranges:
            if range_.start:
                return f"{place.source.filename}:{range_.start.line}"
    return ""

"""Errors as a reader sees them: the excerpt of the file, one `ERROR:` line, and the next step.

The forms are BuildKit's and buildx's, which people and editors know. Nothing here ever shows a traceback: what no room
raised on purpose is our own bug, and says so.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bakery.console import problems
from bakery.console.crash import write_report
from bakery.console.model import LogLine, Step
from bakery.console.text import log_time, printable
from bakery.diagnostics import BakeryError, excerpt
from engine.errors import SPACE_HINT, EngineError, StepError
from engine.llb.definition import Place

FAILED, USAGE, INTERRUPTED = 1, 2, 130
RULE = "------"
PLACES_SHOWN = 3
TAIL_LINES = 10
# What a machine may refuse to any program: a full disk or a missing right is no bug of ours.
_REFUSALS = {
    errno.ENOSPC: f"{SPACE_HINT}, or set BAKERY_ROOT to a folder on another disk",
    errno.EDQUOT: f"{SPACE_HINT}, or set BAKERY_ROOT to a folder on another disk",
    errno.EROFS: "set BAKERY_ROOT to a folder that can be written to",
    errno.EACCES: "",
    errno.EPERM: "",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files",
    errno.ENOMEM: "",
    errno.EIO: "",
}

Reporter = Callable[[BaseException], Path | None]


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that a tree of groups is made of; concurrent work fails in groups."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


def exit_code(error: BaseException) -> int:
    """What the command ends with: 130 for Ctrl-C, 2 for wrong usage, 1 for everything else."""
    parts = list(leaves(error))
    if any(isinstance(part, KeyboardInterrupt) for part in parts):
        return INTERRUPTED
    return next((part.exit_code for part in parts if isinstance(part, BakeryError)), FAILED)


def render(error: BaseException, targets: Sequence[str] = (), report: Reporter = write_report) -> str:
    """All that is shown of an error, ending in a newline. `targets` are those that it broke."""
    parts = list(leaves(error))
    if any(isinstance(part, KeyboardInterrupt) for part in parts):
        return "ERROR: canceled\n"
    known = [part for part in parts if _is_expected(part)]
    return "".join(_render_one(part, targets, report) for part in known or parts[:1])


def tail(name: str, lines: Iterable[str]) -> str:
    """The end of a failed step's log, between rules."""
    return "\n".join([RULE, f" > {name}:", *lines, RULE]) + "\n"


def step_tail(step: Step, title: str, colours: bool = False) -> str:
    """The end of what a failed step said."""
    lines: Iterator[LogLine] = iter(step.tail)
    return tail(title, (f"{log_time(line.offset)} {printable(line.text, colours)}" for line in lines))


def _is_expected(error: BaseException) -> bool:
    return isinstance(error, (BakeryError, EngineError)) or (isinstance(error, OSError) and error.errno in _REFUSALS)


def _render_one(error: BaseException, targets: Sequence[str], report: Reporter) -> str:
    match error:
        case BakeryError():
            return problems.render(error, _of(targets))
        case EngineError():
            return _engine_error(error, targets)
        case OSError() if error.errno in _REFUSALS:
            name = f"{error.filename}: " if error.filename else ""
            return f"ERROR: {_of(targets)}{name}{error.strerror}\n" + _hint(_REFUSALS[error.errno])
        case _:
            return _bug(error, targets, report(error))


def _engine_error(error: EngineError, targets: Sequence[str]) -> str:
    out = [_place_excerpt(place) for place in error.places[:PLACES_SHOWN]]
    solving = f"{_of(targets)}failed to solve: " if targets else ""
    out.append(f"ERROR: {solving}{_safe(str(error))}\n")
    out.append(_hint(error.hint))
    if isinstance(error, StepError) and error.log_path:
        out.append(f"full log: {error.log_path}\n")
    return "".join(out)


def step_error_tail(error: BaseException | None) -> str:
    """The end of the log that a step's error carries, for where no events told it."""
    if not isinstance(error, StepError) or not error.log:
        return ""
    lines = error.log.rstrip(b"\n").split(b"\n")[-TAIL_LINES:]
    return tail(error.vertex or "step", (printable(line) for line in lines))


def _place_excerpt(place: Place) -> str:
    starts = [r.start.line for r in place.ranges if r.start]
    ends = [(r.end or r.start).line for r in place.ranges if r.start]
    if not starts or not place.source.data:
        return ""
    text = place.source.data.decode("utf-8", "replace")
    return excerpt(place.source.filename, text, min(starts), max(ends)) + "\n"


def _bug(error: BaseException, targets: Sequence[str], report: Path | None) -> str:
    what = _safe(f"{type(error).__name__}: {error}".removesuffix(": "))
    where = f"; please report it with the file {report}" if report else "; please report it"
    return f"ERROR: {_of(targets)}this is a bug in bakery ({what}){where}\n"


def _of(targets: Sequence[str]) -> str:
    if not targets:
        return ""
    return f"target {targets[0]}: " if len(targets) == 1 else f"targets {', '.join(targets)}: "


def _hint(text: str) -> str:
    return f"hint: {text}\n" if text else ""


def _safe(text: str) -> str:
    """A message may quote what a registry or a Dockerfile said."""
    return "\n".join(printable(line.encode("utf-8", "replace")) for line in text.split("\n"))

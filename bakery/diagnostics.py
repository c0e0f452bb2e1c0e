"""Errors and warnings as values with a place: what happened, where in which file, and what to do.

Every room of `bakery` reports problems in bake files through these types; the console decides how they look.
Lines and columns count from 1; a column is one grapheme cluster (a tab is one); ends are exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from bakery.values import frozen


@frozen
class SourceFile:
    """A text that a user wrote, under the name they know it by. Compared by identity: two reads are two files."""

    name: str
    text: str

    __eq__ = object.__eq__
    __hash__ = object.__hash__


@frozen
class Position:
    """A point in a text. `offset` counts code points from 0, so that `text[a.offset:b.offset]` is the spanned text."""

    line: int
    column: int
    offset: int


@frozen
class Span:
    """A stretch of one file; the end is exclusive."""

    file: SourceFile
    start: Position
    end: Position

    def text(self) -> str:
        """What the file says there."""
        return self.file.text[self.start.offset : self.end.offset]

    def through(self, other: Span) -> Span:
        """From the start of this span to the end of another in the same file."""
        return Span(self.file, self.start, other.end)

    def __str__(self) -> str:
        """`FILE:LINE,COL-COL`, or `FILE:LINE,COL-LINE,COL` over several lines: the peer's form."""
        start, end = self.start, self.end
        tail = f"{end.column}" if end.line == start.line else f"{end.line},{end.column}"
        return f"{self.file.name}:{start.line},{start.column}-{tail}"


class Severity(Enum):
    """How bad it is: an error stops the command, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Diagnostic:
    """One problem. `summary` names its kind, `detail` this occurrence, `hint` the next step."""

    summary: str
    detail: str = ""
    span: Span | None = None
    severity: Severity = Severity.ERROR
    hint: str = ""

    def __str__(self) -> str:
        """One line: place, summary and detail."""
        place = f"{self.span}: " if self.span else ""
        return f"{place}{self.summary}" + (f"; {self.detail}" if self.detail else "")


class BakeryError(Exception):
    """The root of what `bakery` raises on purpose: one or more diagnostics, the first being the most important.

    `exit_code` is what the command ends with: 1 for a failed build or definition, 2 for wrong usage.
    """

    exit_code = 1

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    @classmethod
    def of(cls, summary: str, detail: str = "", span: Span | None = None, hint: str = "") -> BakeryError:
        """The common case of a single error."""
        return cls(Diagnostic(summary, detail, span, Severity.ERROR, hint))

    def __str__(self) -> str:
        if not self.diagnostics:
            return "unknown error"
        more = len(self.diagnostics) - 1
        return str(self.diagnostics[0]) + (f", and {more} other diagnostic(s)" if more else "")


_LONGEST = 1000


def excerpt(name: str, text: str, first: int, last: int, around: int = 2) -> str:
    """The lines `first` to `last` (from 1, inclusive) of a text with their neighbours, marked with `>>>`.

    The form is that of BuildKit and buildx, which editors and people already know.
    """
    lines = text.splitlines() or [""]
    last = min(max(last, first), len(lines))
    first = min(first, last)
    before, after = max(1, first - around), min(len(lines), last + around)
    body = [
        f" {number:3} | {'>>>' if first <= number <= last else '   '} {_clipped(lines[number - 1])}"
        for number in range(before, after + 1)
    ]
    rule = "-" * 20
    return "\n".join([f"{name}:{first}", rule, *body, rule])


def _clipped(line: str) -> str:
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a misspelled name most likely meant, if one is near enough; never the name itself."""
    import difflib  # not for those who make no mistakes

    others = [candidate for candidate in candidates if candidate != name]
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
    return near[0] if near else None

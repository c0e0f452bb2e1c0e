"""Texts that syntax nodes point into, and how offsets in them become lines and columns of the user's file.

Nodes hold offsets only, which are cheap; a `Span` with lines and grapheme columns is worked out when somebody asks.
A text may be embedded: a JSON string or a YAML scalar whose decoded characters each know their place in the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from bakery.config.graphemes import grapheme_length
from bakery.diagnostics import Position, SourceFile, Span

BOM = "\ufeff"


class LineIndex:
    """Where the lines of one file begin; turns offsets into positions."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._last = (0, 0, 0)  # start of a line, an offset in it, and the graphemes between: most questions go on

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [1 if self._text.startswith(BOM) else 0], self._text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self._text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> Position:
        """The line and grapheme column (both from 1) of a code point offset."""
        line = max(bisect_right(self._starts, offset), 1)
        start = self._starts[line - 1]
        known_start, known, count = self._last
        if known_start != start or known > offset:
            known, count = start, 0
        count += grapheme_length(self._text[known:offset])
        self._last = (start, offset, count)
        return Position(line, count + 1, offset)


class Source:
    """A text to parse, within a file. `places`, if given, holds the file offset of each character and of the end."""

    __slots__ = ("file", "lines", "places", "text")

    def __init__(
        self,
        file: SourceFile,
        text: str | None = None,
        places: Sequence[int] | None = None,
        lines: LineIndex | None = None,
    ) -> None:
        self.file = file
        self.text = file.text if text is None else text
        self.places = places
        self.lines = lines or LineIndex(file.text)

    def embed(self, text: str, places: Sequence[int]) -> Source:
        """A decoded text whose characters came from `places` in this source's file (one more entry for its end)."""
        return Source(self.file, text, places, self.lines)

    def position(self, offset: int) -> Position:
        """The place in the user's file of an offset into `text`."""
        return self.lines.position(self.places[offset] if self.places is not None else offset)

    def span(self, start: int, end: int) -> Span:
        """The stretch of the user's file from offset `start` to before `end`."""
        return Span(self.file, self.position(start), self.position(end))

    def file_span(self, start: int, end: int) -> Span:
        """The stretch between two offsets in the file itself, whatever text this is a source for."""
        return Span(self.file, self.lines.position(start), self.lines.position(end))

    def __repr__(self) -> str:
        return f"Source({self.file.name!r})"

"""The indentation that `<<-` takes off a heredoc."""

from __future__ import annotations

from collections.abc import Sequence

from bakery.config.graphemes import WHITE_SPACE, grapheme_length, graphemes
from bakery.config.hcl.directives import Part, Text


def strip_indent(parts: Sequence[Part]) -> None:
    """Take the smallest indentation of any line off all lines.

    Blank lines neither count nor change. What an interpolation gives has no say: only literal text is looked at.
    """
    indents: list[int] = []
    adjust: list[Text] = []
    at_line_start = True
    for part in parts:
        if at_line_start:
            at_line_start = False
            if not isinstance(part, Text):
                indents.append(0)
            elif not _is_blank_line(part.text):
                indents.append(_indent(part.text))
                adjust.append(part)
        if isinstance(part, Text) and part.text.endswith("\n"):
            at_line_start = True
    least = min(indents, default=0)
    for line in adjust if least else ():
        removed = len("".join(graphemes(line.text[: len(line.text) - len(line.text.lstrip(WHITE_SPACE))])[:least]))
        line.pieces = [line.text[removed:]]
        line.start += removed


def _is_blank_line(text: str) -> bool:
    return text.endswith("\n") and not text.strip(WHITE_SPACE)


def _indent(text: str) -> int:
    return grapheme_length(text[: len(text) - len(text.lstrip(WHITE_SPACE))])

"""Pages of documentation as something to run: files to write and commands, in the order of the page.

A comment above a fenced block says what it is for: `<!-- run -->`, `<!-- file: NAME -->`, or `<!-- not run: WHY -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"(?:^<!-- (?P<what>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
SHELLS = ("sh", "console", "bash")


@dataclass(frozen=True)
class Block:
    """A fenced block and the comment above it."""

    what: str
    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page."""
    source = page.read_text()
    for match in BLOCK.finditer(source):
        yield Block(match["what"] or "", match["language"], match["text"], source[: match.start()].count("\n") + 1)

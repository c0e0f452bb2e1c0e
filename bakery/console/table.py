"""Plain tables for stdout: columns as wide as what they hold, empty ones left out."""

from __future__ import annotations

from collections.abc import Sequence


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, each line ending in a newline; nothing at all without rows."""
    if not rows:
        return ""
    texts = [tuple(head), *(tuple(" ".join(cell.split()) for cell in row) for row in rows)]
    used = [i for i in range(len(head)) if any(row[i] for row in texts[1:])]
    widths = {i: max(len(row[i]) for row in texts) for i in used}
    return "".join("  ".join(row[i].ljust(widths[i]) for i in used).rstrip() + "\n" for row in texts)

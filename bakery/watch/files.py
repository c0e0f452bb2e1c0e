"""Changes of files in folders, gathered until it is quiet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

QUIET = 100
"""Milliseconds without a change after which what was gathered is told: editors write a file in several steps."""


async def changes(folders: Iterable[Path], apart_from: Path) -> AsyncIterator[set[Path]]:
    """The paths that changed, again and again; those of git's own and of the state folder are left out."""
    from watchfiles import Change, awatch

    def counts(change: Change, path: str) -> bool:
        return ".git" not in Path(path).parts and not Path(path).is_relative_to(apart_from)

    async for batch in awatch(*folders, watch_filter=counts, step=QUIET, recursive=True, raise_interrupt=False):
        yield {Path(path) for _, path in batch}

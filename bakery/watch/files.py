"""Changes of files in folders, gathered until it is quiet."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import trio

QUIET = 100
"""Milliseconds without a change after which what was gathered is told: editors write a file in several steps."""
LONGEST = 1600
"""Milliseconds after which it is told though it goes on."""
POLLING = "WATCHFILES_FORCE_POLLING"
"""A variable for file systems that tell of no changes."""


async def changes(folders: Iterable[Path], counts: Callable[[Path], bool], *, deep: bool) -> AsyncIterator[set[Path]]:
    """The paths that changed and count, again and again. With `deep`, folders in the folders are watched as well.

    First comes an empty set: what changes after that is told.
    """
    # Not `awatch`, which does not say when it has begun, and hears of being cancelled only after seconds.
    from watchfiles._rust_notify import RustNotify

    notify = RustNotify([str(folder) for folder in folders], False, POLLING in os.environ, 300, deep, True)
    yield set()
    while True:
        stop = threading.Event()
        try:
            found = await trio.to_thread.run_sync(notify.watch, LONGEST, QUIET, 0, stop, abandon_on_cancel=True)
        finally:
            stop.set()
        if isinstance(found, set) and (paths := {path for _, name in found if counts(path := Path(name))}):
            yield paths

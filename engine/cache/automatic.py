"""Garbage collection after builds: seldom, by one process at a time, and only where a look at the sums says so."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from engine.cache.gc import bytes_to_keep, collect, disk_of
from engine.cache.policy import Rule
from engine.cache.usage import Usage
from engine.state import State

INTERVAL = 60.0
"""Seconds between two collections, as in BuildKit."""
MEASURE_AFTER = 600.0
"""Seconds after which a cache mount is measured again: walking through a big one takes longer than many builds."""


def collect_if_due(state: State, rules: Sequence[Rule], clock: Callable[[], float] = time.time) -> list[Usage]:
    """What was taken away; nothing if it is not yet time again, or another process is at it.

    Raises:
        StateError: if the database cannot be used.
    """
    with _turn(state, clock()) as is_mine:
        if not is_mine or not _is_needed(state, rules, clock()):
            return []
        return list(collect(state, rules, measure_after=MEASURE_AFTER))


@contextmanager
def _turn(state: State, now: float) -> Iterator[bool]:
    """Whether it is this process's turn. A time in the future, left by a clock that was set back, does not count."""
    descriptor = os.open(state.locks / "collection", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        info = os.fstat(descriptor)
        is_new = info.st_size == 0
        if not is_new and 0 <= now - info.st_mtime < INTERVAL:
            yield False
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.pwrite(descriptor, b"1", 0)
        os.utime(descriptor, (now, now))
        yield True
    finally:
        os.close(descriptor)


def _is_needed(state: State, rules: Sequence[Rule], now: float) -> bool:
    """Whether any rule may have something to take, by sums alone."""
    ((total, oldest),) = state.query(
        "SELECT COALESCE(SUM(size), 0), MIN(used) FROM ("
        " SELECT size, used FROM layers WHERE unpacked = 1 UNION ALL SELECT size, used FROM blobs UNION ALL"
        " SELECT COALESCE(s.size, 0), used FROM cache_mounts LEFT JOIN mount_sizes s USING (id))"
    )
    disk = disk_of(state)
    return oldest is not None and any(
        total >= bytes_to_keep(rule, total, disk) and oldest <= now - rule.keep_duration for rule in rules
    )

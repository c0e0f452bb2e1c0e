"""Garbage collection by BuildKit's rules (buildkit.md §8; its cache manager's prune): the least useful goes first, a
record only after those that lie on it, and nothing that a living process uses.
"""

from __future__ import annotations

import heapq
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from engine.cache.filters import RecordType, parse_filters
from engine.cache.policy import Rule
from engine.cache.removal import Remover
from engine.cache.usage import Usage, read_usage
from engine.state import State
from engine.values import frozen

_KEPT_TYPES = (RecordType.INTERNAL, RecordType.FRONTEND)
_BATCH = 16


@frozen
class Disk:
    """The disk of a state folder, in bytes. `free` is what this process may still take."""

    total: int
    free: int


def disk_of(state: State) -> Disk:
    """Raises OSError."""
    info = os.statvfs(state.root)
    return Disk(info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize)


def collect(state: State, rules: Iterable[Rule], *, measure_after: float = 0.0) -> Iterator[Usage]:
    """Takes away what the rules say, one rule after another; yields what went, as it goes.

    Raises:
        ValueError: for a filter that is none.
        StateError: if the database cannot be used.
    """
    remover = Remover(state)
    try:
        records = {record.id: record for record in read_usage(state, measure_after=measure_after)}
        for rule in rules:
            yield from _apply(rule, records, disk_of(state), remover)
        remover.tidy()
    finally:
        remover.close()


def _apply(rule: Rule, records: dict[str, Usage], disk: Disk, remover: Remover) -> Iterator[Usage]:
    total = sum(record.size for record in records.values() if not record.shared)
    keep = bytes_to_keep(rule, total, disk)
    # Where there is a limit, each record may be the last that has to go.
    at_once = 1 if keep else _BATCH
    went = True
    while went:  # what lay below those of one round may go in the next
        went = False
        order = victims(rule, records, time.time())
        while (keep == 0 or total >= keep) and (batch := list(islice(order, at_once))):
            gone = remover.remove(batch)
            for record in gone:
                del records[record.id]
                total -= record.size
            yield from gone
            went = went or bool(gone)


def bytes_to_keep(rule: Rule, total: int, disk: Disk) -> int:
    """How much a rule lets stay of `total` bytes; 0 for no limit at all: everything that matches goes."""
    if not rule.limits:
        return 0
    reserved, most, least_free = (
        space.of(disk.total) for space in (rule.limits.reserved, rule.limits.max_used, rule.limits.min_free)
    )
    keep = most
    excess = least_free - disk.free
    if excess > 0:
        keep = min(keep, total - excess) if keep else total - excess
    elif least_free and not keep:
        keep = total + 1  # only free space is asked for, and there is enough
    return max(keep, reserved, 1)


def victims(rule: Rule, records: Mapping[str, Usage], now: float) -> Iterator[Usage]:
    """What a rule may take, the least useful first, and a record only after all that lie on it.

    What is taken away before the next one is asked for makes way for what lay below it. A time in the future, which a
    clock leaves behind that was set back, counts as now.
    """
    matches = parse_filters(rule.filters)
    chosen = {
        record.id: record
        for record in records.values()
        if not record.in_use
        and (rule.all or not (record.type in _KEPT_TYPES or record.shared))
        and (not rule.keep_duration or min(record.used, now) <= now - rule.keep_duration)
        and matches(record.fields())
    }
    above: dict[str, int] = defaultdict(int)
    for record in records.values():
        for parent in record.parents:
            above[parent] += 1
    scores = usefulness(list(chosen.values()))
    ready = [(score, id_) for id_, score in scores.items() if not above[id_]]
    heapq.heapify(ready)
    while ready:
        _, id_ = heapq.heappop(ready)
        yield chosen[id_]
        if id_ in records:
            continue  # it could not be taken, so what is below it stays as well
        for parent in chosen[id_].parents:
            above[parent] -= 1
            if not above[parent] and parent in chosen:
                heapq.heappush(ready, (scores[parent], parent))


def usefulness(records: Sequence[Usage]) -> dict[str, float]:
    """Each record's place by last use plus its place by count of uses, both as a share of the places there are."""
    times = {used: place for place, used in enumerate(sorted({record.used for record in records}), 1)}
    counts = {uses: place for place, uses in enumerate(sorted({record.uses for record in records}), 1)}
    return {record.id: times[record.used] / len(times) + counts[record.uses] / len(counts) for record in records}

"""What garbage collection may take: BuildKit's rules, as values (buildkit.md §8)."""

from __future__ import annotations

from engine.values import frozen

GB = 1000**3
DAY = 24 * 3600.0


@frozen
class DiskSpace:
    """An amount of disk: so many bytes or, where `bytes` is 0, hundredths of the whole disk; both 0: no limit."""

    bytes: int = 0
    percent: int = 0

    def of(self, total: int) -> int:
        """As bytes, on a disk of `total` bytes."""
        return self.bytes or total * self.percent // 100

    def __bool__(self) -> bool:
        return bool(self.bytes or self.percent)


@frozen
class Limits:
    """How much the cache may take. All unset: every match goes.

    `reserved` is never taken away; above `max_used`, or while less than `min_free` is free on the disk, something goes.
    """

    reserved: DiskSpace = DiskSpace()
    max_used: DiskSpace = DiskSpace()
    min_free: DiskSpace = DiskSpace()

    def __bool__(self) -> bool:
        return bool(self.reserved or self.max_used or self.min_free)


@frozen
class Rule:
    """One pass of garbage collection.

    It takes records that match any of the `filters` (all records if there is none) and have not been used for
    `keep_duration` seconds, the least useful first, until the limits are met. Without `all`, internal records, those of
    frontends and those that others share are left.
    """

    filters: tuple[str, ...] = ()
    keep_duration: float = 0.0
    limits: Limits = Limits()
    all: bool = False


def default_limits(total: int) -> Limits:
    """BuildKit's limits for a disk of `total` bytes: reserved a tenth (at most 10 GB), at most 80 % used (at most
    100 GB), a fifth free."""

    def at_most(percent: int, limit: int) -> DiskSpace:
        space = DiskSpace(percent=percent)
        return space if space.of(total) <= limit else DiskSpace(limit)

    return Limits(at_most(10, 10 * GB), at_most(80, 100 * GB), DiskSpace(percent=20))


def default_rules(limits: Limits, keep_duration: float = 60 * DAY) -> tuple[Rule, ...]:
    """BuildKit's four rules, each stronger than the one before it. `keep_duration` is that of the second."""
    reproducible = ("type==source.local", "type==exec.cachemount", "type==source.git.checkout")
    return (
        Rule(reproducible, 2 * DAY, Limits(max_used=DiskSpace(512 * 1000**2))),
        Rule(keep_duration=keep_duration, limits=limits),
        Rule(limits=limits),
        Rule(limits=limits, all=True),
    )

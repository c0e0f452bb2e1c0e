"""Garbage collection after a build, as the settings have it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.settings import Settings
from engine.errors import EngineError
from engine.request import BuildResult, Outcome

if TYPE_CHECKING:
    from engine.cache.policy import Rule


def collect_garbage(settings: Settings, root: Path | None, result: BuildResult) -> None:
    """Makes room, if it is time for that, after a build that may have taken some. Never an error of that build."""
    if not settings.gc or all(_took_nothing(target.outcome) for target in result.targets.values()):
        return
    from engine.cache.automatic import collect_if_due
    from engine.cache.gc import disk_of
    from engine.state import State

    with suppress(EngineError, OSError):
        state = State.open(settings.state_folder(root))
        try:
            collect_if_due(state, rules_of(settings, disk_of(state).total))
        finally:
            state.close()


def rules_of(settings: Settings, total: int) -> tuple[Rule, ...]:
    """The rules that hold on a disk of `total` bytes: those of the settings, else BuildKit's with the limits set.

    As with BuildKit, who sets one limit sets them all: the defaults are for who sets none.
    """
    from engine.cache.policy import DAY, DiskSpace, Limits, default_limits, default_rules

    if settings.gc_policy is not None:
        return settings.gc_policy
    none = DiskSpace()
    limits = Limits(settings.reserved_space or none, settings.max_used_space or none, settings.min_free_space or none)
    keep = 60 * DAY if settings.gc_keep_duration is None else settings.gc_keep_duration
    return default_rules(limits or default_limits(total), keep)


def _took_nothing(outcome: Outcome) -> bool:
    return outcome in (Outcome.CACHED, Outcome.NOT_STARTED)

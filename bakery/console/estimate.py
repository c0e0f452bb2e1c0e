"""How long a build is likely to take yet: by its longest chain, or by all its work where that is more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bakery.console.model import Model, Step

PATIENCE = 3.0
"""A build that is done before gets no estimate, and nothing is read for one."""
PERIOD = 1.0
"""Seconds between two estimates, but no less than a hundred times what one takes."""
UNKNOWN_PART = 0.25
"""Where more of the steps to come than this never ran before, nothing is said."""


class Past(Protocol):
    """How long steps took before."""

    def of(self, digest: str, targets: tuple[str, ...], name: str) -> float | None:
        """Seconds, None if not known."""
        ...


class Estimate:
    """Makes an estimate now and then. `read` gets what is known of the past when it is first needed."""

    def __init__(self, read: Callable[[], Past]) -> None:
        self._read = read
        self._past: Past | None = None
        self._left: float | None = None
        self._made = 0.0

    def left(self, model: Model, now: float) -> float | None:
        """Seconds that are left; None if nobody can tell."""
        if model.began is None or now - model.began < PATIENCE:
            return None
        if self._past is None:
            self._past = self._read()
        if not self._made or now - self._made >= PERIOD:
            self._left, self._made = remaining(model, now, self._past), now
        if self._left is None:
            return None
        return max(0.0, self._left - (now - self._made))


def remaining(model: Model, now: float, past: Past) -> float | None:
    """Seconds until the last step has ended, if steps take what they took before; None if too few are known."""
    needed = _needed(model)
    chain: dict[str, float] = {}
    work, unknown = 0.0, 0
    for step in needed:
        expected = past.of(next(iter(step.members)), tuple(step.targets), step.title)
        unknown += expected is None
        own = max(0.0, (expected or 0.0) - step.clock.seconds(now))
        work += own
        chain[step.key] = own + max((chain.get(key, 0.0) for key in model.inputs_of(step)), default=0.0)
    if not needed or unknown > UNKNOWN_PART * len(needed):
        return None
    return max(max(chain.values()), work / max(1, len(model.running)))


def _needed(model: Model) -> list[Step]:
    """Steps that are still to be done, inputs first: what is only below finished steps never will be."""
    used = {key for step in model.steps.values() for key in model.inputs_of(step)}
    wanted = {key for key in model.steps if key not in used}
    found = []
    for step in reversed(model.steps.values()):  # steps become known inputs first
        if step.key in wanted and not step.finished:
            found.append(step)
            wanted.update(model.inputs_of(step))
    return found[::-1]

"""A recorded build in a line, and the files that it lies in."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.values import frozen

FACTS, EVENTS, LOGS, RESULT = "facts.json", "events.jsonl", "logs.jsonl", "result.json"
_WORST = ("failed", "cancelled", "not started", "succeeded", "cached")


UNREADABLE = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading something raises that is not as we wrote it."""


@frozen
class BuildSummary:
    """One build in a line. Times are seconds since the epoch.

    `state` is `running`, `lost` (its process died), `error` (it could not begin), `interrupted`, or the worst outcome
    of its targets: `failed`, `cancelled`, `not started`, `succeeded`, `cached`.
    """

    id: str
    state: str
    began: float
    seconds: float
    targets: tuple[str, ...]
    outcomes: Mapping[str, int]
    steps: int
    hits: int
    commit: str
    branch: str
    changed: bool | None
    folder: str


def read_summary(folder: Path) -> BuildSummary | None:
    """What the folder of a build says of it; None if that is nothing, or cannot be read."""
    facts, result = read_json(folder / FACTS), read_json(folder / RESULT)
    if facts is None:
        return None
    try:
        return _summary(folder, facts, result)
    except UNREADABLE:
        return None


def read_json(path: Path) -> dict[str, Any] | None:
    """An object from a file; None if there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def finite(value: Any) -> float:
    """A number. Raises TypeError or ValueError for what is none, or not finite."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def is_going(folder: Path) -> bool:
    """Whether a process holds the lock on a build's events."""
    try:
        descriptor = os.open(folder / EVENTS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _summary(folder: Path, facts: Mapping[str, Any], result: Mapping[str, Any] | None) -> BuildSummary:
    began = finite(facts["began"])
    targets: Mapping[str, Any] = (result or {}).get("targets", {})
    outcomes = Counter(str(target["outcome"]) for target in targets.values())
    git: Mapping[str, Any] = facts.get("git", {})
    return BuildSummary(
        id=folder.name,
        state=_state(folder, result, outcomes),
        began=began,
        seconds=max(0.0, finite(result["ended"]) - began) if result else 0.0,
        targets=tuple(map(str, facts["targets"])),
        outcomes=dict(outcomes),
        steps=sum(int(target["steps"]) for target in targets.values()),
        hits=sum(int(target["hits"]) for target in targets.values()),
        commit=str(git.get("commit", "")),
        branch=str(git.get("branch", "")),
        changed=(result or {}).get("changed"),
        folder=str(facts.get("folder", "")),
    )


def _state(folder: Path, result: Mapping[str, Any] | None, outcomes: Mapping[str, int]) -> str:
    if result is None:
        return "running" if is_going(folder) else "lost"
    if error := result.get("error"):
        return "interrupted" if error == "interrupted" else "error"
    return next((word for word in _WORST if word in outcomes), "succeeded")

"""Waves as JSON on one line, as GitHub's `fromJSON` and other programs take it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bakery.ci.command import SharedCache
    from bakery.ci.plan import Job, Wave

RUNNERS = {"arm64": "ubuntu-24.04-arm"}
"""GitHub's machines by architecture; each builds its own faster than an emulator."""
USUAL_RUNNER = "ubuntu-24.04"
MOST_JOBS = 256
"""The jobs that GitHub makes of one matrix at most."""


def entry(job: Job, runner: str = "") -> dict[str, Any]:
    """One job as a row of a matrix."""
    return {
        "target": job.target,
        "platforms": ",".join(job.platforms),
        "runner": runner or RUNNERS.get(job.architecture, USUAL_RUNNER),
        "push": job.asked and job.tagged,
        "needs": list(job.needs),
    }


def as_json(waves: Sequence[Wave], cache: SharedCache | None, runner: str = "") -> str:
    """All waves, each a matrix, and the cache."""
    plan = {"waves": [{"include": [entry(job, runner) for job in wave]} for wave in waves]}
    place = {"cache": cache.place} if cache else {}
    return _line(plan | place)


def as_matrix(waves: Sequence[Wave], runner: str = "") -> str:
    """All jobs as one matrix, each with the number of its wave."""
    rows = [{**entry(job, runner), "wave": number} for number, wave in enumerate(waves, 1) for job in wave]
    return _line({"include": rows})


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"

"""A workflow of GitHub Actions: a matrix for each wave, after all of the wave before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakery.ci.command import SharedCache, joined, shell_text
from bakery.ci.install import Install
from bakery.ci.matrix import MOST_JOBS, USUAL_RUNNER, entry
from bakery.ci.plan import Wave
from bakery.ci.templates import render
from bakery.diagnostics import BakeryError
from bakery.values import frozen


@frozen
class GitHub:
    """How the workflow is to be.

    `install`: how jobs get bakery; `given`: arguments of every build; `targets`: those named; `written_by`: the
    command that wrote it.
    """

    cache: SharedCache | None
    install: Install
    given: str = ""
    targets: tuple[str, ...] = ()
    branch: str = "main"
    runner: str = ""
    """The machine of all jobs; without it, one of each job's architecture."""
    push: bool = False
    written_by: str = "bakery ci github"


def workflow(waves: Sequence[Wave], how: GitHub) -> str:
    """A workflow with the jobs as they are now."""
    jobs: list[dict[str, Any]] = []
    before: list[str] = []
    for number, wave in enumerate(waves, 1):
        rows = [entry(job, how.runner) for job in wave]
        parts = [rows[at : at + MOST_JOBS] for at in range(0, len(rows), MOST_JOBS)]
        names = [f"wave-{number}" + (f"-{at}" if at > 1 else "") for at in range(1, len(parts) + 1)]
        jobs += [{"name": name, "needs": before, "rows": part} for name, part in zip(names, parts, strict=True)]
        before = names or before
    return _rendered(jobs, how, dynamic=False)


def affected_workflow(waves: Sequence[Wave], how: GitHub) -> str:
    """A workflow whose first job finds out, each time, which of the targets are affected.

    Raises:
        BakeryError: for a wave with more jobs than GitHub makes of a matrix.
    """
    if any(len(wave) > MOST_JOBS for wave in waves):
        raise BakeryError.of(
            f"a wave has more than the {MOST_JOBS} jobs that GitHub makes of one matrix",
            hint="leave out --affected, or write a workflow for each of several groups",
        )
    # There is always one, since targets may come later.
    numbers = range(1, max(1, len(waves)) + 1)
    jobs = [{"name": f"wave-{n}", "needs": [f"wave-{n - 1}"] if n > 1 else []} for n in numbers]
    return _rendered(jobs, how, dynamic=True)


def _rendered(jobs: list[dict[str, Any]], how: GitHub, dynamic: bool) -> str:
    # Requests to pull read the cache and write none: who can write it chooses what steps come to.
    trusted = "github.event_name != 'pull_request'"
    writing = how.cache.writing() if how.cache else ""
    return render(
        "github.yml.j2",
        how=how,
        jobs=jobs,
        dynamic=dynamic,
        usual_runner=how.runner or USUAL_RUNNER,
        trusted=trusted,
        command=joined('bakery build "$TARGET"', how.given, how.cache.reading() if how.cache else ""),
        writing=writing,
        planning=joined(
            f"bakery ci json --waves {len(jobs)}",
            how.given,
            "" if how.cache else "--cache none",
            f"--runner {shell_text(how.runner)}" if how.runner else "",
            *map(shell_text, how.targets),
        ),
    )

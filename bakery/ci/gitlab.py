"""A pipeline of GitLab: a job for each target, which starts as soon as those that it needs are done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakery.ci.command import SharedCache, joined
from bakery.ci.install import Install
from bakery.ci.plan import Job, Wave
from bakery.ci.templates import render
from bakery.values import frozen

MOST_NEEDS = 50
"""The jobs that one may need, as GitLab is set at first; with more, a job waits for the stage before."""


@frozen
class GitLab:
    """How the pipeline is to be.

    `install`: how jobs get bakery; `given`: arguments of every build; `written_by`: the command that wrote it.
    """

    cache: SharedCache | None
    install: Install
    given: str = ""
    branch: str = "main"
    image: str = "python:3.12"
    """The image that jobs run in; it has Python."""
    push: bool = False
    written_by: str = "bakery ci gitlab"


def pipeline(waves: Sequence[Wave], how: GitLab) -> str:
    """A `.gitlab-ci.yml`, or the file of a child pipeline."""
    stages = [f"wave-{number}" for number, wave in enumerate(waves, 1) if wave]
    jobs = [_job(job, stage, how) for stage, wave in zip(stages, filter(None, waves), strict=True) for job in wave]
    return render(
        "gitlab.yml.j2",
        how=how,
        stages=stages,
        jobs=jobs,
        writing=how.cache.writing() if how.cache else "",
        command=joined('bakery build "$TARGET"', how.given, how.cache.reading() if how.cache else "", '"$@"'),
    )


def _job(job: Job, stage: str, how: GitLab) -> dict[str, Any]:
    return {
        "name": f"build {job.target}",
        "target": job.target,
        "stage": stage,
        "needs": None if len(job.needs) > MOST_NEEDS else [f"build {name}" for name in job.needs],
        "push": how.push and job.asked and job.tagged,
    }

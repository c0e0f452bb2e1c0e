"""Jobs come after what they link to; what nobody needs is no job."""

from __future__ import annotations

import pytest

from bakery.ci.plan import Job, Wave, exactly, only, plan_waves
from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError


def target(name: str, *links: str, requested: bool = True, **more: object) -> Target:
    contexts = {other: f"target:{other}" for other in links}
    return Target(name, contexts=contexts, requested=requested, **more)  # type: ignore[arg-type]


def project(*targets: Target) -> Project:
    return Project({each.name: each for each in targets})


def names(waves: list[Wave]) -> list[list[str]]:
    return [[job.target for job in wave] for wave in waves]


SHOP = project(
    target("site", "docs", "web"),
    target("web", "node"),
    target("docs"),
    target("api", "python"),
    target("jobs", "python", "node"),
    target("node", "base", requested=False),
    target("python", "base", requested=False),
    target("base", "certificates", requested=False),
    target("certificates", requested=False),
)


def test_what_is_linked_to_comes_in_an_earlier_wave() -> None:
    waves = plan_waves(SHOP, shared=True)
    assert names(waves) == [["docs", "base"], ["node", "python"], ["web", "api", "jobs"], ["site"]]
    for at, wave in enumerate(waves):
        before = {job.target for earlier in waves[:at] for job in earlier}
        assert all(set(job.needs) <= before for job in wave)


def test_what_only_one_target_links_to_is_built_in_the_job_of_that_one() -> None:
    jobs = {job.target: job for wave in plan_waves(SHOP, shared=True) for job in wave}
    assert "certificates" not in jobs
    assert jobs["jobs"].needs == ("node", "python")
    assert not jobs["node"].asked
    assert jobs["web"].asked


def test_without_a_shared_cache_only_what_was_asked_for_is_a_job() -> None:
    assert names(plan_waves(SHOP, shared=False)) == [["web", "docs", "api", "jobs"], ["site"]]


def test_what_is_combined_comes_after_its_parts() -> None:
    both = project(target("all", combine=("x", "y")), target("x"), target("y"))
    assert names(plan_waves(both, shared=True)) == [["x", "y"], ["all"]]


def test_a_chain_through_what_is_no_job_is_still_an_order() -> None:
    chain = project(target("last", "middle"), target("middle", "first", requested=False), target("first"))
    waves = plan_waves(chain, shared=True)
    assert names(waves) == [["first"], ["last"]]
    assert waves[1][0].needs == ("first",)


def test_a_circle_is_an_error() -> None:
    with pytest.raises(BakeryError, match="in a circle"):
        plan_waves(project(target("a", "b"), target("b", "a")), shared=True)


def test_affected_jobs_bring_those_that_fill_the_cache_and_keep_their_waves() -> None:
    waves = only(plan_waves(SHOP, shared=True), {"api"})
    assert names(waves) == [["base"], ["python"], ["api"], []]
    assert names(only(plan_waves(SHOP, shared=True), set())) == [[], [], [], []]


def test_a_workflow_of_before_has_room_for_everything() -> None:
    waves = plan_waves(SHOP, shared=True)
    folded = exactly(waves, 2)
    assert names(folded) == [["docs", "base"], ["node", "python", "web", "api", "jobs", "site"]]
    assert [job.needs for job in folded[1]] == [("base",), ("base",), (), (), (), ("docs",)]
    assert names(exactly(waves, 4)) == names(waves)
    assert names(exactly(waves, 6)) == [*names(waves), [], []]
    assert names(exactly([], 1)) == [[]]
    assert len(exactly(waves, 1)[0]) == 8


def test_no_job_needs_one_that_is_not_there() -> None:
    waves = only(plan_waves(SHOP, shared=True), {"site"})
    assert names(waves) == [[], [], [], ["site"]]
    assert waves[3][0].needs == ()


@pytest.mark.parametrize(
    ("platforms", "architecture"),
    [
        ((), ""),
        (("linux/arm64",), "arm64"),
        (("linux/arm/v7",), "arm"),
        (("linux/amd64", "linux/arm64"), ""),
        (("local",), ""),
    ],
)
def test_a_job_of_one_architecture_says_which(platforms: tuple[str, ...], architecture: str) -> None:
    assert Job("x", platforms).architecture == architecture

"""Several targets at once, one of which fails: what becomes of the others, by the policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_process import Workplace

from engine.request import OnError, Outcome

BAKE = """
group "default" { targets = ["good", "bad"] }
target "good" { output = ["type=local,dest=out"] }
target "bad" { dockerfile = "bad.Dockerfile" }
"""


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", BAKE)
    place.write("Dockerfile", "FROM scratch\nCOPY file /\n")
    place.write("bad.Dockerfile", "FROM scratch\nCOPY file /\nCOPY missing /\n")
    place.write("file", "content")
    return place


def outcomes(place: Workplace, on_error: OnError) -> dict[str, Outcome]:
    built = place.build(on_error=on_error)
    return {name: target.outcome for name, target in built.result.targets.items()}


def test_the_others_go_on(place: Workplace) -> None:
    assert outcomes(place, OnError.KEEP_GOING) == {"good": Outcome.SUCCEEDED, "bad": Outcome.FAILED}
    assert (place.folder / "out/file").read_text() == "content"


def test_all_or_nothing_builds_the_others_but_writes_no_output(place: Workplace) -> None:
    found = outcomes(place, OnError.PUBLISH_ALL_OR_NOTHING)
    assert found == {"good": Outcome.CANCELLED, "bad": Outcome.FAILED}
    assert not (place.folder / "out").exists()
    place.write("missing", "")
    again = place.build_well(on_error=OnError.PUBLISH_ALL_OR_NOTHING)
    assert again.ran == ["COPY missing /"], "what was built before the failure is kept"
    assert {t.outcome for t in again.result.targets.values()} == {Outcome.CACHED, Outcome.SUCCEEDED}
    assert (place.folder / "out/file").read_text() == "content"


def test_all_or_nothing_says_whose_fault_it_is(place: Workplace) -> None:
    error = place.build(on_error=OnError.PUBLISH_ALL_OR_NOTHING).result.targets["good"].error
    assert str(error) == "nothing is published, for the target bad failed"


def test_failing_fast_ends_the_others(place: Workplace) -> None:
    found = outcomes(place, OnError.FAIL_FAST)
    assert found["bad"] is Outcome.FAILED
    assert found["good"] in (Outcome.CANCELLED, Outcome.NOT_STARTED, Outcome.SUCCEEDED)

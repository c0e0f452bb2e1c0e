"""Several targets at once, one of which fails: what becomes of the others, by the policy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.in_process import Workplace

from engine.errors import DefinitionError
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


SECRETS = """
group "default" {{ targets = ["one", "two"] }}
target "one" {{ secret = ["id=token,src=one{one}"] }}
target "two" {{ secret = ["id=token,src=two{two}"] }}
"""
READING = """FROM scratch
COPY bin /bin
RUN --mount=type=secret,id=token ["/bin/busybox", "cat", "/run/secrets/token"]
"""


@pytest.fixture
def secrets(place: Workplace) -> Workplace:
    place.write("Dockerfile", READING)
    shutil.copy("/bin/busybox", place.write("bin/busybox", ""))
    place.write("one", "first")
    place.write("two", "second")
    return place


@pytest.mark.root
def test_one_step_cannot_have_two_versions_of_a_secret(secrets: Workplace) -> None:
    secrets.write("docker-bake.hcl", SECRETS.format(one=",version=1", two=",version=2"))
    with pytest.raises(DefinitionError, match="targets one and two want one step .* token: 1 and 2") as caught:
        secrets.build()
    assert "cat" in caught.value.vertex
    assert caught.value.places
    assert len(secrets.build_well("one").ran) == 2
    assert len(secrets.build_well("two").ran) == 1, "another version is other work"


@pytest.mark.root
def test_a_version_that_only_one_of_two_targets_gives_is_a_disagreement(secrets: Workplace) -> None:
    secrets.write("docker-bake.hcl", SECRETS.format(one="", two=",version=2"))
    with pytest.raises(DefinitionError, match="token: none and 2"):
        secrets.build()


@pytest.mark.root
def test_targets_that_agree_on_a_secret_share_its_steps(secrets: Workplace) -> None:
    secrets.write("docker-bake.hcl", SECRETS.format(one=",version=1", two=",version=1"))
    assert len(secrets.build_well().ran) == 2

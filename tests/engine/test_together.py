"""Several targets at once, one of which fails: what becomes of the others, by the policy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.in_process import Workplace

from engine.errors import DefinitionError
from engine.events import Change, Decided, Event, How, TargetEnded, Warned
from engine.request import BuildRequest, OnError, Outcome
from engine.stop import Stop

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


@pytest.mark.root
@pytest.mark.parametrize(
    ("one", "two", "warned"),
    [("one", "two", True), ("one", "one", False), ("one,version=1", "two,version=1", False)],
)
def test_a_shared_step_that_gets_the_secret_of_one_of_two_targets_says_so(
    secrets: Workplace, one: str, two: str, warned: bool
) -> None:
    text = SECRETS.format(one="", two="").replace("src=one", f"src={one}").replace("src=two", f"src={two}")
    secrets.write("docker-bake.hcl", text)
    built = secrets.build_well()
    said = [event for event in built.events if isinstance(event, Warned)]
    assert [("one and two" in w.short, "token" in w.short, bool(w.places)) for w in said] == [
        (True, True, True)
    ] * warned
    assert not any("first" in w.short or "second" in w.short for w in said), "never a value"
    assert not [e for e in secrets.build_well().events if isinstance(e, Warned)], (
        "a step that is known asks for nothing"
    )


STAGES = """FROM scratch AS quick
COPY bin /bin
FROM quick AS slow
RUN ["/bin/busybox", "sleep", "1000"]
"""


@pytest.fixture
def stages(secrets: Workplace) -> Workplace:
    """A target that is built at once, and one that never ends."""
    secrets.write("Dockerfile", STAGES)
    secrets.write(
        "docker-bake.hcl",
        """
        group "default" { targets = ["quick", "slow"] }
        target "quick" {
          target = "quick"
          output = ["type=local,dest=out"]
        }
        target "slow" { target = "slow" }
        """,
    )
    return secrets


def is_at_work(event: Event, built: list[str]) -> bool:
    """Whether the quick target has ended and the step that never ends has begun, by all events so far."""
    if isinstance(event, TargetEnded):
        built.append(event.name)
    elif isinstance(event, Decided) and event.how is How.RUN:
        built.append("run")
    return "quick" in built and built.count("run") >= 2


@pytest.mark.root
def test_outputs_are_written_while_other_targets_are_at_work_and_a_stop_tells_how_each_ended(
    stages: Workplace,
) -> None:
    stops: list[Stop] = []
    told: list[str] = []

    def kept(request: BuildRequest) -> BuildRequest:
        stops.append(request.stop)
        return request

    def hear(event: Event) -> None:
        if is_at_work(event, told):
            assert (stages.folder / "out/bin/busybox").exists()
            stops[0].wish()

    built = stages.build("quick", "slow", hear=hear, narrowed=kept)
    assert {name: t.outcome for name, t in built.result.targets.items()} == {
        "quick": Outcome.SUCCEEDED,
        "slow": Outcome.CANCELLED,
    }
    assert built.result.stopped
    ended = {e.name: e.outcome for e in built.events if isinstance(e, TargetEnded)}
    assert ended == {"quick": "succeeded", "slow": "cancelled"}


def test_a_build_that_is_stopped_before_it_begins_starts_nothing(place: Workplace) -> None:
    def stopped(request: BuildRequest) -> BuildRequest:
        request.stop.wish()
        return request

    built = place.build(narrowed=stopped)
    assert {t.outcome for t in built.result.targets.values()} == {Outcome.NOT_STARTED}
    assert built.ran == []


@pytest.mark.root
def test_who_is_not_ready_in_time_has_failed(stages: Workplace) -> None:
    found = stages.build("slow", timeout=2.0).result.targets["slow"]
    assert found.outcome is Outcome.FAILED
    assert str(found.error) == "the build took longer than 2 s"


@pytest.mark.root
def test_a_new_version_of_a_secret_is_a_reason(secrets: Workplace) -> None:
    secrets.write("docker-bake.hcl", SECRETS.format(one=",version=1", two=""))
    secrets.build_well("one")
    secrets.write("docker-bake.hcl", SECRETS.format(one=",version=2", two=""))
    found = secrets.build_well("one").reason("cat")
    assert found.cause == "operation"
    assert found.changes == (Change("secret", "token", "1", "2"),)

"""How long steps took before, read from recorded builds."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.build_story import cached, digest, done, known, started

from bakery.config.target import Project, Target
from bakery.history import durations
from bakery.history.recorder import Recorder
from bakery.history.shelf import Shelf
from engine.events import Decided, Event, How
from engine.request import BuildResult, Outcome, TargetResult


def record(root: Path, folder: Path, events: Sequence[Event], steps: int, hits: int) -> None:
    recorder = Recorder(root, keep=100)
    recorder.begin(Project({"api": Target("api")}), [], {}, folder)
    for event in events:
        recorder.listen(event)
    recorder.finish(BuildResult({"api": TargetResult("api", Outcome.SUCCEEDED, steps=steps, hits=hits)}))


def ran(number: int, seconds: float) -> list[Event]:
    return [known(number, "RUN make", "api"), started(number, 0), done(number, seconds)]


def test_a_step_is_known_by_its_digest_or_by_its_name(tmp_path: Path) -> None:
    record(tmp_path, tmp_path / "a", ran(1, 4.0), 1, 0)
    found = durations.past_durations(Shelf(tmp_path), str(tmp_path / "a"))
    assert found.of(digest(1), (), "?") == pytest.approx(4.0)
    assert found.of(digest(2), ("web", "api"), "RUN make") == pytest.approx(4.0)
    assert found.of(digest(2), ("web",), "RUN make") is None


def test_builds_of_other_folders_tell_nothing(tmp_path: Path) -> None:
    record(tmp_path, tmp_path / "a", ran(1, 4.0), 1, 0)
    assert not durations.past_durations(Shelf(tmp_path), str(tmp_path / "b")).by_digest


def test_builds_in_which_nothing_was_done_hide_no_others(tmp_path: Path) -> None:
    record(tmp_path, tmp_path, ran(1, 4.0), 1, 0)
    for _ in range(durations.BUILDS_READ + 1):
        record(tmp_path, tmp_path, [known(1, "RUN make", "api"), cached(1, 0)], 1, 1)
    assert durations.past_durations(Shelf(tmp_path), str(tmp_path)).of(digest(1), (), "")


def test_a_step_that_was_known_by_its_content_takes_no_time(tmp_path: Path) -> None:
    record(tmp_path, tmp_path, ran(1, 4.0), 1, 0)
    again = [known(1, "RUN make", "api"), Decided(digest(1), How.CONTENT), cached(1, 0)]
    record(tmp_path, tmp_path, again, 2, 1)
    assert durations.past_durations(Shelf(tmp_path), str(tmp_path)).of(digest(1), (), "") == 0


def test_no_more_is_read_than_an_estimate_is_worth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, tmp_path, ran(1, 4.0), 1, 0)
    monkeypatch.setattr(durations, "BYTES_READ", 10)
    assert not durations.past_durations(Shelf(tmp_path), str(tmp_path)).by_digest

"""A build written down, and read back as it was."""

import fcntl
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.build_story import cached, digest, done, failed, failing_build, known, moved, said, started

from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError, SourceFile
from bakery.history.lines import HEAD, TAIL
from bakery.history.record import RecordedBuild
from bakery.history.recorder import Recorder
from bakery.history.shelf import Shelf
from engine.cache.policy import DiskSpace
from engine.errors import ExitError
from engine.events import Change, Decided, Event, How
from engine.request import BuildResult, Outcome, TargetResult

PROJECT = Project({"api": Target("api", args={"TOKEN": "hunter2"}), "docs": Target("docs")})
RESULT = BuildResult(
    {
        "api": TargetResult("api", Outcome.FAILED, error=ExitError("make", 2), steps=3, hits=1, seconds=12.0),
        "docs": TargetResult("docs", Outcome.SUCCEEDED, {"image.name": "docs:1"}, steps=2, hits=1, seconds=1.5),
    }
)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., RecordedBuild]:
    def play(events: Sequence[Event], project: Project = PROJECT, argv: Sequence[str] = ("bakery",)) -> RecordedBuild:
        recorder = Recorder(tmp_path, keep=100)
        recorder.begin(project, list(argv), {}, tmp_path)
        for event in events:
            recorder.listen(event)
        recorder.finish(RESULT)
        assert recorder.fault is None
        return Shelf(tmp_path).open(recorder.id)

    return play


def test_a_build_is_read_back_as_it_was_told(record: Callable[..., RecordedBuild]) -> None:
    build = record(failing_build())
    _, base, make, copy, site = build.vertices
    assert (base.name, base.state, base.targets) == ("[base 1/1] FROM busybox", "hit", ("api", "docs"))
    assert (make.state, make.inputs, round(make.seconds, 1)) == ("failed", (base.number,), 12.1)
    assert make.error.endswith("exit code: 2")
    assert (copy.state, site.state) == ("cancelled", "ran")
    assert build.by_digest[digest(3)] is make
    assert [(t.name, t.outcome, t.hits, t.steps) for t in build.targets.values()] == [
        ("api", "failed", 1, 3),
        ("docs", "succeeded", 1, 2),
    ]
    assert build.targets["docs"].metadata == {"image.name": "docs:1"}
    assert (build.summary.state, build.summary.steps, build.summary.hits) == ("failed", 5, 2)


def test_logs_are_read_back_line_by_line_to_the_byte(record: Callable[..., RecordedBuild]) -> None:
    build = record(
        [known(1, "RUN a"), started(1, 0), said(1, 1, b"one\ntw\xff\xc3"), said(1, 2, b"\xa4o\n\xe2\x80\xa8x")]
    )
    assert [(line.text, line.time % 10) for _, line in build.logs()] == [
        (b"one", 1.0),
        (b"tw\xff\xc3\xa4o", 1.0),
        (b"\xe2\x80\xa8x", 2.0),
    ]
    assert list(build.logs(build.vertices[0])) == list(build.logs())


def test_a_long_log_keeps_its_beginning_and_its_end(record: Callable[..., RecordedBuild]) -> None:
    pieces = [b"%07d\n" % n * 128 for n in range(1000)]
    build = record([known(1, "RUN a"), started(1, 0), *(said(1, 1, piece) for piece in pieces), done(1, 2)])
    lines = [line for _, line in build.logs()]
    gap = next(at for at, line in enumerate(lines) if line.gap)
    assert lines[0].text == b"0000000"
    assert lines[-1].text == b"0000999"
    assert HEAD <= gap * 8 <= HEAD + 2048
    assert TAIL <= (len(lines) - gap - 1) * 8 <= TAIL + 2048
    assert lines[gap].gap + (len(lines) - 1) * 8 == sum(map(len, pieces))


def test_a_transfer_is_kept_as_it_ended(record: Callable[..., RecordedBuild]) -> None:
    build = record(
        [
            known(1, "FROM a"),
            started(1, 0),
            moved(1, 1, "layer", 10, 100, 0),
            moved(1, 2, "layer", 50, 100, 0),
            moved(1, 3, "layer", 100, 100, 0, over=True),
            moved(1, 3, "other", 7, 100, 0),
            done(1, 4),
        ]
    )
    assert [(m.part, m.bytes, m.completed) for m in build.vertices[0].moves] == [
        ("layer", 100, True),
        ("other", 7, False),
    ]


def test_why_a_step_ran_is_kept(record: Callable[..., RecordedBuild]) -> None:
    why = Decided(digest(1), How.RUN, "changed", (Change("file", "a.c"), Change("argument", "N", "1", "2")), 3)
    build = record([known(1, "RUN a"), why, started(1, 0), done(1, 1)])
    assert build.vertices[0].decided == why


def test_values_that_may_be_secret_are_never_written(record: Callable[..., RecordedBuild]) -> None:
    project = Project(
        {"api": Target("api", context="https://bob:hunter2@example.test/x.git", args={"TOKEN": "hunter2"})},
        files=(SourceFile("docker-bake.hcl", 'variable "T" { default = "hunter2" }'),),
        remote="https://hunter2@example.test/x.git",
    )
    events = [
        known(1, "load https://bob:hunter2@example.test/x.git"),
        started(1, 0),
        moved(1, 0, "https://hunter2@example.test/", 1, 2, 0),
        Decided(digest(1), How.RUN, "changed", (Change("source", "https://x:hunter2@a/", "http://hunter2@b", None),)),
        failed(1, 1, "cannot fetch https://bob:hunter2@example.test/x.git"),
    ]
    build = record(events, project, ["bakery", "build", "--set", "api.args.TOKEN=hunter2", "https://hunter2@b.test/"])
    for path in build.path.iterdir():
        assert "hunter2" not in path.read_text()
    assert build.facts["command"] == ["bakery", "build", "--set", "api.args.TOKEN=…", "https://b.test/"]
    assert build.facts["targets"]["api"]["args"] == ["TOKEN"]


def test_a_build_whose_process_died_is_read_as_far_as_it_came(tmp_path: Path, shelf: Shelf) -> None:
    recorder = Recorder(tmp_path, keep=100)
    recorder.begin(PROJECT, [], {}, tmp_path)
    assert shelf.list()[0].state == "running"
    assert not shelf.remove(recorder.id)
    text = '["owners",0,["api"]]\n["known",0,"sha256:1","RUN a",[],0]\n["start",0,17.5]\n["end",0,18'
    folder = tmp_path / "builds" / "20200101-000000-abcd"
    folder.mkdir()
    (folder / "facts.json").write_text('{"began": 17, "targets": {"api": {}}}')
    (folder / "events.jsonl").write_text(text)
    build = shelf.open("2020")
    assert build.summary.state == "lost"
    assert [(v.name, v.state, v.intervals) for v in build.vertices] == [("RUN a", "unfinished", [(17.5, 17.5)])]
    assert build.ended == 17.5
    assert list(build.logs()) == []
    recorder.finish(RESULT)


def test_damage_is_passed_over(shelf: Shelf, record: Callable[..., RecordedBuild]) -> None:
    build = record(failing_build())
    text = (build.path / "events.jsonl").read_text()
    damage = '{}\n[]\n["hit"]\n["end",0]\n["start","x",{}]\n["new thing",1,2]\n[1,2,3]\nnull\n'
    (build.path / "events.jsonl").write_text(damage + text)
    assert [v.state for v in shelf.open("last").vertices] == [v.state for v in build.vertices]
    (build.path / "facts.json").write_text("[]")
    assert shelf.list() == []
    with pytest.raises(BakeryError, match="cannot be read"):
        shelf.open("last")


def test_builds_that_begin_together_have_folders_of_their_own(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["20200101-000000-0000"] * 3 + ["20200101-000000-0001"])
    monkeypatch.setattr("bakery.history.recorder.new_id", lambda: next(ids))
    for _ in range(2):
        Recorder(tmp_path, keep=100).begin(PROJECT, [], {}, tmp_path)
    assert shelf.ids() == ["20200101-000000-0000", "20200101-000000-0001"]


def test_builds_are_in_the_order_in_which_they_began(tmp_path: Path, shelf: Shelf) -> None:
    made = []
    for _ in range(5):
        recorder = Recorder(tmp_path, keep=100)
        recorder.begin(PROJECT, [], {}, tmp_path)
        made.append(recorder.id)
        recorder.finish(RESULT)
    assert shelf.ids() == made


def test_an_interrupted_build_says_so(tmp_path: Path, shelf: Shelf) -> None:
    for error, state in [
        (KeyboardInterrupt(), "interrupted"),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), "interrupted"),
        (BakeryError.of("no"), "error"),
    ]:
        recorder = Recorder(tmp_path, keep=100)
        recorder.begin(PROJECT, [], {}, tmp_path)
        recorder.fail(error)
        assert shelf.open(recorder.id).summary.state == state


def test_where_nothing_can_be_written_the_build_goes_on(tmp_path: Path) -> None:
    (tmp_path / "builds").write_text("a file in the way")
    recorder = Recorder(tmp_path, keep=100)
    recorder.begin(PROJECT, [], {}, tmp_path)
    recorder.listen(known(1, "RUN a"))
    recorder.finish(RESULT)
    assert isinstance(recorder.fault, OSError)


def test_only_the_latest_builds_are_kept_and_none_that_is_going(tmp_path: Path, shelf: Shelf) -> None:
    folder = tmp_path / "builds"
    names = [f"2020010{n}-000000-abcd" for n in range(1, 6)]
    for name in names:
        (folder / name).mkdir(parents=True)
    going = os.open(folder / names[0] / "events.jsonl", os.O_CREAT | os.O_RDWR)
    fcntl.flock(going, fcntl.LOCK_EX)
    try:
        assert shelf.prune(2) == 2
        assert shelf.ids() == [names[0], *names[3:]]
    finally:
        os.close(going)


def test_whole_logs_of_steps_go_with_their_builds(tmp_path: Path, shelf: Shelf) -> None:
    names = [f"2020010{n}-000000-abcd" for n in range(1, 4)]
    for at, name in enumerate(names):
        for room in ("builds", "logs"):
            (tmp_path / room / name).mkdir(parents=True)
            os.utime(tmp_path / room / name, (at * 100, at * 100))
    for name, at in [("of-a-library", 50), ("of-another", 150)]:
        (tmp_path / "logs" / name).mkdir()
        os.utime(tmp_path / "logs" / name, (at, at))
    assert shelf.prune(5) == 0
    assert shelf.prune(2) == 1
    assert sorted(os.listdir(tmp_path / "logs")) == [*names[1:], "of-another"]


def test_builds_that_talk_much_push_the_oldest_out(tmp_path: Path, shelf: Shelf) -> None:
    names = [f"2020010{n}-000000-abcd" for n in range(1, 5)]
    for name in names:
        for room, size in (("builds", 10), ("logs", 90)):
            (tmp_path / room / name).mkdir(parents=True)
            (tmp_path / room / name / "file").write_bytes(b"x" * size)
    assert shelf.shrink(400) == 0
    assert shelf.shrink(399) == 1
    assert shelf.ids() == names[1:]
    assert shelf.shrink(100) == 2
    assert shelf.shrink(0) == 0, "the latest stays"
    assert sorted(os.listdir(tmp_path / "logs")) == names[3:]


def test_a_big_build_looks_at_what_all_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakery.history.recorder.MOST", 5000)
    for big, left in ((False, 1), (False, 2), (True, 1)):
        recorder = Recorder(tmp_path, keep=100)
        recorder.begin(PROJECT, [], {}, tmp_path)
        if big:
            monkeypatch.setattr("bakery.history.recorder.BIG", 5000)
            (recorder.folder / "file").write_bytes(b"x" * 6000)
        recorder.finish(RESULT)
        assert recorder.fault is None
        assert len(Shelf(tmp_path).ids()) == left


def test_a_limit_that_is_set_holds_after_each_build(tmp_path: Path) -> None:
    for _ in range(3):
        recorder = Recorder(tmp_path, keep=100, space=DiskSpace(1))
        recorder.begin(PROJECT, [], {}, tmp_path)
        recorder.finish(RESULT)
        assert (recorder.fault, Shelf(tmp_path).ids()) == (None, [recorder.id])
    for left in (2, 3):
        recorder = Recorder(tmp_path, keep=100, space=DiskSpace(percent=100))
        recorder.begin(PROJECT, [], {}, tmp_path)
        recorder.finish(RESULT)
        assert len(Shelf(tmp_path).ids()) == left


def test_a_build_is_found_by_what_names_it_alone(tmp_path: Path, shelf: Shelf) -> None:
    with pytest.raises(BakeryError, match="no build is recorded yet"):
        shelf.find("last")
    for name in ("20200101-000000-aaaa", "20200101-000001-bbbb", "20200202-000000-cccc"):
        (tmp_path / "builds" / name).mkdir(parents=True)
    assert shelf.find("last").endswith("cccc")
    assert shelf.find("last~2").endswith("aaaa")
    assert shelf.find("bbbb") == "20200101-000001-bbbb"
    assert shelf.find("202002") == "20200202-000000-cccc"
    for name, words in [("20200101", "any of 2"), ("dddd", "no build 'dddd'"), ("last~3", "only 3"), ("", "no build")]:
        with pytest.raises(BakeryError, match=words):
            shelf.find(name)


def test_the_build_before_is_one_of_the_same_targets_in_the_same_folder(
    tmp_path: Path, shelf: Shelf, record: Callable[..., RecordedBuild]
) -> None:
    others = Project({"other": Target("other")})
    ids = sorted(record([], project).id for project in (PROJECT, others))
    for name, project in zip(ids, ("api", "other"), strict=True):
        facts = tmp_path / "builds" / name / "facts.json"
        facts.write_text(json.dumps({"began": 1, "targets": {project: {}}, "folder": "/a"}))
    new = tmp_path / "builds" / "99991231-000000-aaaa"
    new.mkdir()
    (new / "facts.json").write_text(json.dumps({"began": 1, "targets": {"api": {}, "x": {}}, "folder": "/a"}))
    assert shelf.before(new.name) == ids[0]
    assert shelf.before(ids[0]) is None


def test_what_was_known_takes_one_line(record: Callable[..., RecordedBuild]) -> None:
    build = record([known(1, "a", "api"), started(1, 1), cached(1, 1), known(2, "b", "api"), started(2, 1), done(2, 2)])
    kinds = [json.loads(line)[0] for line in (build.path / "events.jsonl").read_text().splitlines()]
    assert kinds == ["owners", "known", "hit", "known", "start", "end"]

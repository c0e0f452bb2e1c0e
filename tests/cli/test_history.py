"""`bakery history`: the whole command over builds that were recorded from told events."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.build_story import cached, failing_build, known, started

from bakery.cli.history import history
from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError
from bakery.history.recorder import Recorder
from bakery.history.shelf import Shelf
from engine.errors import ExitError
from engine.request import BuildResult, Outcome, TargetResult

PROJECT = Project({"api": Target("api", args={"VERSION": "1"}), "docs": Target("docs")})
Call = Callable[..., Result]


@pytest.fixture
def builds(tmp_path: Path) -> list[str]:
    """A build that failed, and after it one in which everything was known."""
    error = ExitError("make", 2)
    failed = TargetResult("api", Outcome.FAILED, error=error, steps=3, hits=1, seconds=12.0)
    known_all = [known(n, name, "api") for n, name in [(2, "[base 1/1] FROM busybox"), (3, "[build 1/2] RUN make")]]
    for events, result in [
        (failing_build(), failed),
        (
            [*known_all, started(2, 100), cached(2, 100), cached(3, 100)],
            TargetResult("api", Outcome.CACHED, {"containerimage.digest": "sha256:" + "1" * 64}, steps=3, hits=3),
        ),
    ]:
        recorder = Recorder(tmp_path, keep=100)
        recorder.begin(PROJECT, ["bakery", "build", "api"], {}, tmp_path)
        for event in events:
            recorder.listen(event)
        recorder.finish(BuildResult({"api": result}))
    shelf = Shelf(tmp_path)
    for number, id_ in enumerate(sorted(shelf.ids(), key=lambda id_: shelf.open(id_).began)):
        name = f"2026010{number + 1}-000000-aaaa"
        os.rename(tmp_path / "builds" / id_, tmp_path / "builds" / name)
    return shelf.ids()


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def run(*words: str) -> Result:
        command, *rest = words
        result = CliRunner().invoke(history, [command, "--root", str(tmp_path), *rest], standalone_mode=False)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_builds_are_listed_newest_first(builds: list[str], call: Call) -> None:
    lines = call("ls").stdout.splitlines()
    assert lines[0].split() == ["BUILD", "BEGAN", "RESULT", "TIME", "CACHED", "TARGETS"]
    assert [line.split()[0] for line in lines[1:]] == builds[::-1]
    assert " cached " in lines[1]
    assert " failed " in lines[2]
    found = json.loads(call("ls", "--format", "json", "-n", "1").stdout)
    assert [(b["id"], b["state"], b["steps"], b["hits"]) for b in found] == [(builds[1], "cached", 3, 3)]


def test_without_builds_there_is_a_word_about_how_they_come(call: Call) -> None:
    assert call("ls").stdout == "No build is recorded yet. `bakery build` records each one.\n"
    with pytest.raises(BakeryError, match="no build is recorded yet"):
        call("show")


def test_a_failed_build_is_shown_with_what_was_slow_and_what_failed(builds: list[str], call: Call) -> None:
    text = call("show", builds[0]).stdout
    assert "  command  bakery build api\n" in text
    assert "12.1s    api: [build 1/2] RUN make\n" in text
    assert "Failed: api: [build 1/2] RUN make\n" in text
    assert f"bakery history logs {builds[0]} --failed\n" in text
    whole = json.loads(call("show", builds[0], "--format", "json").stdout)
    assert [v["state"] for v in whole["vertices"]] == ["ran", "hit", "failed", "cancelled", "ran"]


def test_logs_are_printed_by_step(builds: list[str], call: Call) -> None:
    text = call("logs", builds[0]).stdout
    assert text == (
        "--- [build 1/2] RUN make (api)\ncc -c main.c\ncc -c util.c\n--- [site 1/1] RUN mkdocs (docs)\nred building\n"
    )
    assert call("logs", builds[0], "--failed").stdout == "".join(text.splitlines(True)[:3])
    assert call("logs", builds[0], "-s", "mkdocs").stdout == "".join(text.splitlines(True)[3:])
    assert call("logs", builds[0], "-t", "docs").stdout == "".join(text.splitlines(True)[3:])
    with pytest.raises(BakeryError, match="has no target 'doc'"):
        call("logs", builds[0], "-t", "doc")
    with pytest.raises(BakeryError, match="no step with 'gcc'"):
        call("logs", builds[0], "-s", "gcc")


def test_two_builds_are_compared(builds: list[str], call: Call) -> None:
    text = call("compare").stdout
    assert f"{builds[0]} → {builds[1]}: failed → cached" in text
    assert "failed 12.0s 1/3  cached 0.0s 3/3" in text
    assert "api: [build 1/2] RUN make  " in text
    found = json.loads(call("compare", *builds, "--format", "json").stdout)
    make = next(step for step in found["steps"] if step["name"].endswith("RUN make"))
    assert (make["before"], make["after"]) == ("failed", "hit")
    call("rm", builds[0])
    with pytest.raises(BakeryError, match="no build before"):
        call("compare")


def test_a_build_is_exported_whole(builds: list[str], call: Call, tmp_path: Path) -> None:
    call("export", builds[0], "-o", str(tmp_path / "b.json"))
    found = json.loads((tmp_path / "b.json").read_text())
    make = next(v for v in found["vertices"] if v["name"].endswith("RUN make"))
    assert [line["text"] for line in make["log"]] == ["cc -c main.c", "cc -c util.c"]
    assert found["critical_path"][-1] == make["digest"]
    trace = json.loads(call("export", builds[0], "--format", "trace").stdout)
    rows = {event["name"]: event["tid"] for event in trace["traceEvents"]}
    assert rows["[build 1/2] RUN make"] != rows["[site 1/1] RUN mkdocs"]


def test_builds_are_removed_only_when_it_is_clear_which(builds: list[str], call: Call) -> None:
    assert CliRunner().invoke(history, ["rm"]).exit_code == 2
    call("rm", builds[0])
    assert [b["id"] for b in json.loads(call("ls", "--format", "json").stdout)] == [builds[1]]
    assert call("rm", "--all").stdout == "1 removed\n"

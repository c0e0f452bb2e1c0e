"""`bakery plan` before a build and `bakery explain` after it, on a real project."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakery.cli.app import cli
from bakery.diagnostics import BakeryError

Call = Callable[..., tuple[Any, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in a project; its exit code, and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "docker-bake.hcl").write_text('target "app" { output = ["type=local,dest=out"] }\n')
    (tmp_path / "Dockerfile").write_text("FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/a /\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a").write_text("a")
    (tmp_path / "src/b").write_text("b")

    def run(*arguments: str) -> tuple[Any, str]:
        capsys.readouterr()
        code = cli.main(list(arguments), standalone_mode=False)
        return code or 0, capsys.readouterr().out

    return run


def test_a_plan_says_what_would_run_and_leaves_everything_as_it_is(call: Call, tmp_path: Path) -> None:
    code, text = call("plan", "app")
    assert code == 3
    assert [line.split()[0] for line in text.splitlines() if not line.startswith(" ")] == ["run", "run", "2"]
    assert "[one 1/1] COPY src /src\n                 never built here before\n" in text
    assert text.splitlines()[-1].startswith("2 to run, 0 known; about ")
    assert not (tmp_path / "out").exists()
    assert call("plan", "app") == (code, text), "a plan makes nothing known"


def test_a_plan_says_when_nothing_would_run(call: Call) -> None:
    call("build", "--progress=quiet", "app")
    assert call("plan", "app") == (0, "Nothing would run: all 2 steps are known.\n")
    assert call("plan", "-q", "app") == (0, "")
    assert call("plan", "--no-cache", "app")[0] == 3


def test_a_plan_names_changed_files_and_what_takes_long(call: Call, tmp_path: Path) -> None:
    call("build", "--progress=quiet", "app")
    (tmp_path / "src/b").write_text("longer")
    code, text = call("plan", "app", "--format=json")
    found = json.loads(text)
    assert (code, found["idle"]) == (3, False)
    copy = next(step for step in found["steps"] if "COPY src" in step["name"])
    assert (copy["fate"], copy["cause"], copy["targets"]) == ("run", "files", ["app"])
    change = {"kind": "file", "name": "src/b", "before": "file 0644 1 bytes", "after": "file 0644 6 bytes"}
    assert copy["changes"] == [change]
    assert copy["seconds"] > 0
    assert copy["digest"] in found["critical"]


def test_an_explanation_goes_down_to_what_changed_first(call: Call, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch AS one\nCOPY src /src\nFROM one AS two\nWORKDIR /w\nFROM scratch\nCOPY --from=two /src/a /\n"
    )
    call("build", "--progress=quiet", "app")
    (tmp_path / "src/a").write_text("longer")
    call("build", "--progress=quiet", "app")
    lines = call("explain", "app/--from")[1].splitlines()
    assert lines[2:] == [
        "      because a step that it builds upon changed",
        "        step [two 1/1] WORKDIR /w changed",
        "          for [one 1/1] COPY src /src: file src/a changed",
        "        file src/a in [two 1/1] WORKDIR /w: file 0644 1 bytes → file 0644 6 bytes",
    ]


def test_a_plan_says_what_would_fail(call: Call, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY nowhere /\n")
    code, text = call("plan", "app")
    assert code == 3
    assert '"/nowhere": not found' in text
    assert "1 would fail" in text


def test_a_plan_says_what_would_never_be_begun(call: Call, tmp_path: Path) -> None:
    """Neither a step behind one that fails, nor what is behind that."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY src /\nCOPY nowhere /\nCOPY src /a\nCOPY src /b\n")

    text = call("plan", "app")[1]
    found = json.loads(call("plan", "app", "--format=json")[1])

    assert [step["fate"] for step in found["steps"]] == ["run", "fail", "never", "never"]
    assert found["critical"] == [found["steps"][0]["digest"]], "what is never begun takes no time"
    assert "1 to run, 0 known, 1 would fail, and 2 behind; about " in text


def test_an_explanation_names_the_files(call: Call, tmp_path: Path) -> None:
    call("build", "--progress=quiet", "app")
    (tmp_path / "src/b").write_text("longer")
    call("build", "--progress=quiet", "app")
    lines = call("explain")[1].splitlines()
    assert lines[0].startswith("Build ")
    assert lines[1].startswith("  app  [one 1/1] COPY src /src: ran in ")
    assert lines[2:] == [
        "      because files changed",
        "        file src/b: file 0644 1 bytes → file 0644 6 bytes",
        "  app  [stage-1 1/1] COPY --from=one /src/a /: known",
        "      known by the content of its inputs",
    ]


def test_steps_are_found_by_what_is_in_their_names(call: Call) -> None:
    call("build", "--progress=quiet", "app")
    first = json.loads(call("explain", "app/copy src", "--format=json")[1])
    assert [(step["state"], step["cause"]) for step in first["steps"]] == [("ran", "first")]
    call("build", "--progress=quiet", "app")
    assert call("explain")[1].endswith(": nothing had to run, for everything was known.\n")
    assert "COPY src /src: known" in call("explain", "app/src")[1]
    earlier = json.loads(call("explain", "--build=last~1", "--format=json")[1])
    assert {step["cause"] for step in earlier["steps"]} == {"first"}


def test_what_is_not_there_is_said(call: Call) -> None:
    with pytest.raises(BakeryError, match="no build is recorded yet"):
        call("explain")
    call("build", "--progress=quiet", "app")
    with pytest.raises(BakeryError, match="no build of a target 'ap' is recorded"):
        call("explain", "ap")
    with pytest.raises(BakeryError, match="no step of app has 'make' in its name"):
        call("explain", "app/make")

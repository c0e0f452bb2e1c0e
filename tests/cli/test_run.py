"""A run from a project to an exit code, with an engine that plays a story."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.build_story import failed, known, said, started

from bakery.cli import failure, run
from bakery.cli.complaints import report_error
from bakery.cli.run import result_code
from bakery.config.request import LoadRequest
from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError, Position, SourceFile, Span
from bakery.graph.build import BuildOptions
from bakery.graph.lower import TargetError
from engine.errors import DefinitionError, ExitError
from engine.events import Event, Listener
from engine.llb.definition import Place
from engine.llb.ops import Position as LLBPosition
from engine.llb.ops import Range, SourceInfo
from engine.request import BuildResult, Outcome, TargetResult

PROJECT = Project({"app": Target("app")})
OPTIONS: dict[str, Any] = {"progress": "plain", "metadata_file": None, "jobs": 3, "runtime": "", "root": None}


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[BuildOptions]]:
    """Makes the engine tell `events` and return (or raise) `end`; gives the options that it was called with."""

    def play(end: BuildResult | BaseException, *events: Event) -> list[BuildOptions]:
        calls: list[BuildOptions] = []

        def run_build(project: Project, options: BuildOptions, listener: Listener) -> BuildResult:
            calls.append(options)
            for event in events:
                listener(event)
            if isinstance(end, BaseException):
                raise end
            return end

        monkeypatch.setattr(run, "run_build", run_build)
        return calls

    return play


def build(tmp_path: Path, project: Project = PROJECT, **changed: Any) -> tuple[int, str]:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        code = run.run(
            project, LoadRequest(cwd=tmp_path), {**OPTIONS, "root": str(tmp_path / "root"), **changed}, debug=False
        )
    return code, stream.getvalue()


def outcome(value: Outcome, error: Exception | None = None) -> BuildResult:
    return BuildResult({"app": TargetResult("app", value, {"containerimage.digest": "sha256:1"}, error, steps=1)})


def test_a_build_that_went_well_ends_with_0_and_its_metadata(
    tmp_path: Path, engine: Callable[..., list[BuildOptions]]
) -> None:
    calls = engine(outcome(Outcome.SUCCEEDED))
    code, _ = build(tmp_path, metadata_file=str(tmp_path / "meta.json"))
    assert code == 0
    found = json.loads((tmp_path / "meta.json").read_text())["app"]
    assert found.pop("bakery.build").startswith("2")
    assert found == {
        "bakery.outcome": "succeeded",
        "bakery.seconds": 0.0,
        "bakery.steps": 1,
        "bakery.hits": 0,
        "containerimage.digest": "sha256:1",
    }
    assert calls[0].jobs == 3


def test_a_failed_step_ends_with_1_and_its_metadata_says_so(
    tmp_path: Path, engine: Callable[..., list[BuildOptions]]
) -> None:
    error = ExitError("/bin/sh -c false", 1)
    error.at((), "RUN false")
    engine(
        outcome(Outcome.FAILED, error),
        known(1, "RUN false", "app"),
        started(1, 0),
        said(1, 0.25, b"oh\n"),
        failed(1, 0.5, str(error)),
    )
    code, text = build(tmp_path, metadata_file=str(tmp_path / "meta.json"))
    assert code == 1
    assert json.loads((tmp_path / "meta.json").read_text())["app"]["bakery.outcome"] == "failed"
    assert text == (
        "#1 RUN false\n"
        "#1 0.250 oh\n"
        '#1 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1\n'
        "\n"
        " app  FAILED       0.0s  0/1 step cached  sha256:1\n"
        "------\n"
        " > RUN false:\n"
        "0.250 oh\n"
        "------\n"
        'ERROR: target app: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1\n'
        "next: `bakery history logs --failed` for whole logs, `bakery report` for a page\n"
    )


def test_what_was_only_cancelled_ends_with_130() -> None:
    assert result_code(outcome(Outcome.CANCELLED)) == 130
    assert result_code(outcome(Outcome.CACHED)) == 0


def test_an_interrupt_ends_the_display_and_goes_on(tmp_path: Path, engine: Callable[..., list[BuildOptions]]) -> None:
    before = threading.active_count()
    engine(KeyboardInterrupt(), known(1, "RUN a"), started(1, 0))
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    assert threading.active_count() == before


def test_a_target_that_cannot_be_lowered_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = TargetError(Target("app"), DefinitionError("unknown instruction: FORM", hint="did you mean FROM?"))
    assert failure.report_failure(ExceptionGroup("", [error])) == 1
    assert capsys.readouterr().err == (
        "ERROR: target app: failed to solve: unknown instruction: FORM\nhint: did you mean FROM?\n"
    )


def test_an_error_that_many_targets_met_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [TargetError(Target(name), DefinitionError("no such stage")) for name in ("app", "web")]
    assert failure.report_failure(ExceptionGroup("", parts)) == 1
    assert capsys.readouterr().err == "ERROR: targets app, web: failed to solve: no such stage\n"


def test_a_bug_of_ours_is_one_line_and_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path))
    (tmp_path / "logs").mkdir()
    assert failure.report_failure(ZeroDivisionError("x")) == 1
    said_ = capsys.readouterr().err
    (report,) = (tmp_path / "logs").iterdir()
    assert said_ == f"ERROR: this is a bug in bakery (ZeroDivisionError: x); please report it with the file {report}\n"
    assert "ZeroDivisionError: x" in report.read_text()


def test_on_github_the_progress_is_folded_and_failures_are_pointed_at(
    tmp_path: Path, engine: Callable[..., list[BuildOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    engine(outcome(Outcome.FAILED, ExitError("make", 1)), known(1, "RUN make", "app"), started(1, 0), failed(1, 1, "x"))
    _, text = build(tmp_path, junit=str(tmp_path / "junit.xml"))
    lines = text.splitlines()
    assert lines[0] == "::group::bakery build app"
    assert lines.index("::endgroup::") < lines.index(" app  FAILED       0.0s  0/1 step cached  sha256:1")
    stop, word = lines[1].rsplit("::", 1)
    assert (stop, len(word)) == ("::stop-commands", 32)
    said_ = [line for line in lines if line.startswith("::")]
    wanted = ["::group::bakery build app", lines[1], f"::{word}::", "::endgroup::", lines[1], f"::{word}::"]
    assert said_[:-1] == wanted, "all that a step may have said is between the two"
    assert lines.index("ERROR: target app: failed to solve: " + lines[-1].partition("failed::")[2]) < len(lines) - 2
    assert lines[-1].startswith("::error title=target app failed::process ")
    assert (tmp_path / "summary.md").read_text().startswith("## bakery: 1 of 1 target failed\n")
    assert 'failures="1"' in (tmp_path / "junit.xml").read_text()


def test_in_gitlab_the_progress_is_a_section(
    tmp_path: Path, engine: Callable[..., list[BuildOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    engine(outcome(Outcome.SUCCEEDED), known(1, "RUN make", "app"), started(1, 0))
    _, text = build(tmp_path)
    assert ":bakery_build\r\x1b[0Kbakery build app\n#1 RUN make\n" in text
    assert text.index("section_end:") < text.index(" app  built")


def test_on_github_what_keeps_a_build_from_beginning_is_pointed_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    error = DefinitionError("unknown instruction: FORM")
    source = SourceInfo(filename="Dockerfile", data=b"\nFORM a\n", language="Dockerfile")
    error.at((Place(source, (Range(LLBPosition(2, 0), LLBPosition(2, 0)),)),), "")
    failure.report_failure(TargetError(Target("app", context="services/app"), error))
    assert capsys.readouterr().err.endswith(
        "\n::error title=target app failed,file=services/app/Dockerfile,line=2::unknown instruction: FORM\n"
    )
    file = SourceFile("docker-bake.hcl", "x\n")
    report_error(BakeryError.of("no such thing", span=Span(file, Position(1, 1, 0), Position(1, 2, 1))))
    assert capsys.readouterr().err.endswith(
        "\n::error title=bakery,file=docker-bake.hcl,line=1::docker-bake.hcl:1,1-2: no such thing\n"
    )

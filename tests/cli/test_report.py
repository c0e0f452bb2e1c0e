"""`bakery report`: a recorded build to a file."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from support.build_story import failing_build

from bakery.cli.report import report
from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError
from bakery.history.recorder import Recorder
from engine.request import BuildResult, Outcome, TargetResult


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    recorder = Recorder(tmp_path / "root", keep=100)
    recorder.begin(Project({"api": Target("api")}), ["bakery"], {}, tmp_path)
    for event in failing_build():
        recorder.listen(event)
    recorder.finish(BuildResult({"api": TargetResult("api", Outcome.FAILED)}))
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)
    return recorder.id


def test_the_last_build_goes_to_a_file_of_its_name(build: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(report, [])
    assert (result.exit_code, result.stdout) == (0, f"bakery-report-{build}.html\n")
    assert "RUN make" in (tmp_path / f"bakery-report-{build}.html").read_text()


def test_a_page_goes_to_stdout(build: str) -> None:
    assert CliRunner().invoke(report, ["last", "-o", "-"]).stdout.startswith("<!doctype html>")


def test_a_place_that_cannot_be_written_is_named(build: str, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match=r"nowhere/x\.html: no such file or directory"):
        CliRunner().invoke(report, ["-o", "nowhere/x.html"], standalone_mode=False, catch_exceptions=False)

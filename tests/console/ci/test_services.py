"""A failed build as GitHub, GitLab and JUnit's readers are told of it."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bakery.config.target import Project, Target
from bakery.console.ci import github, gitlab
from bakery.console.ci.junit import junit
from bakery.console.ci.problems import problems
from bakery.diagnostics import BakeryError, Position, SourceFile, Span
from engine.digests import sha256
from engine.errors import ExitError
from engine.events import Warned
from engine.llb.definition import Place
from engine.llb.ops import Position as At
from engine.llb.ops import Range, SourceInfo
from engine.request import BuildResult, Outcome, TargetResult

DOCKERFILE = SourceInfo(filename="Dockerfile", data=b"FROM a\nRUN make\n", language="Dockerfile")
PROJECT = Project({"api": Target("api", context="services/api"), "web": Target("web")})


def place(line: int) -> Place:
    return Place(DOCKERFILE, (Range(At(line, 0), At(line + 1, 0)),))


@pytest.fixture
def result() -> BuildResult:
    error = ExitError("make", 2, log=b"cc -c a.c\n\x1b[31ma.c:1: 100% wrong, really\x1b[0m\n```\n")
    error.at((place(2),), "[build 1/2] RUN make")
    return BuildResult(
        {
            "api": TargetResult("api", Outcome.FAILED, error=error, steps=4, hits=1, seconds=12.3),
            "web": TargetResult(
                "web",
                Outcome.SUCCEEDED,
                {"containerimage.digest": "sha256:" + "1" * 64, "image.name": "a|b:1,<c>:2"},
                steps=3,
                hits=3,
                seconds=0.5,
                size=1_500_000,
            ),
            "docs": TargetResult("docs", Outcome.NOT_STARTED),
        }
    )


def test_a_failed_step_is_pointed_at_in_the_checkout(result: BuildResult, tmp_path: Path) -> None:
    (problem,) = problems(result, [], PROJECT, Path.cwd())
    assert (problem.level, problem.file, problem.line, problem.end_line) == ("error", "services/api/Dockerfile", 2, 3)
    text = github.annotate([problem])
    assert text.startswith("::error title=target api failed,file=services/api/Dockerfile,line=2,endLine=3::process ")
    assert "cc -c a.c%0Aa.c:1: 100%25 wrong, really%0A" in text
    assert text.count("\n") == 1


def test_a_problem_in_a_bake_file_has_its_line() -> None:
    file = SourceFile("bakery.hcl", "a = 1\nb = 2\n")
    span = Span(file, Position(2, 1, 6), Position(2, 6, 11))
    failed = TargetResult("api", Outcome.FAILED, error=BakeryError.of("no such tag", span=span))
    (problem,) = problems(BuildResult({"api": failed}), [], PROJECT, Path.cwd())
    assert (problem.file, problem.line) == ("bakery.hcl", 2)


def test_each_warning_is_told_once() -> None:
    warning = Warned(sha256(b""), "JSONArgs: use JSON", ("it is better",), "https://a.test/x", 1, (place(1),))
    found = problems(BuildResult({}), [warning, warning], PROJECT, Path.cwd())
    assert github.annotate(found) == (
        "::warning title=build check,file=services/api/Dockerfile,line=1,endLine=2::"
        "JSONArgs: use JSON%0Ait is better%0Ahttps://a.test/x\n"
    )


def test_words_of_a_workflow_command_cannot_be_smuggled_in() -> None:
    failed = TargetResult("a::b,c", Outcome.FAILED, error=BakeryError.of("x\n::set-env name=A::b"))
    text = github.annotate(problems(BuildResult({"a": failed}), [], Project({}), Path.cwd()))
    assert text == "::error title=target a%3A%3Ab%2Cc failed::x%0A::set-env name=A::b\n"


def test_the_summary_of_a_step_is_a_table_and_what_failed(result: BuildResult) -> None:
    text = github.summary(result, [Warned(sha256(b""), "a <b>")], [("[build 1/2] RUN make | tee", 12.0)], "2026-a")
    assert text.startswith("## bakery: 1 of 3 targets failed\n\n4 of 7 steps cached. Build `2026-a`.\n")
    assert "| `web` | ✅ built | 0.5s | 3/3 | 1.50MB | `sha256:111111111111` | `a\\|b:1`<br>`&lt;c&gt;:2` |\n" in text
    assert "````\nprocess" in text
    assert "a.c:1: 100% wrong, really\n```\n````\n" in text
    assert "| 12.0s | [build 1/2] RUN make \\| tee |\n" in text
    assert "- a &lt;b&gt;\n" in text


def test_the_summary_of_what_was_cancelled_says_how_far_it_came() -> None:
    outcomes = (Outcome.CACHED, Outcome.SUCCEEDED, Outcome.CANCELLED, Outcome.NOT_STARTED)
    ended = {outcome.value: TargetResult(outcome.value, outcome) for outcome in outcomes}
    text = github.summary(BuildResult(ended, stopped=True), [], [], "x")
    assert text.startswith("## bakery: canceled, with 2 of 4 targets built\n")


def test_a_summary_is_never_larger_than_github_takes() -> None:
    many = {f"target-{n}": TargetResult(f"target-{n}" * 9, Outcome.CACHED) for n in range(20_000)}
    text = github.summary(BuildResult(many), [], [], "x")
    assert len(text.encode()) < github.LARGEST
    assert "20,000 targets built" in text


def test_a_section_of_gitlab_begins_and_ends_by_the_same_name() -> None:
    text = gitlab.section("bakery build api", 1000.9) + "...\n" + gitlab.end_section(1012)
    found = re.findall(r"\x1b\[0Ksection_(start|end):(\d+):(\w+)\r\x1b\[0K", text)
    assert found == [("start", "1000", "bakery_build"), ("end", "1012", "bakery_build")]


def test_a_junit_report_has_a_case_for_each_target(result: BuildResult) -> None:
    root = ET.fromstring(junit(result, 13.0))
    assert {key: root[0].attrib[key] for key in ("tests", "failures", "skipped", "time")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
        "time": "13.000",
    }
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    failure = cases["api"].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "ExitError"
    assert (failure.text or "").endswith("cc -c a.c\na.c:1: 100% wrong, really\n```")
    assert cases["docs"].find("skipped") is not None
    assert [child.tag for child in cases["web"]] == ["system-out"]


def test_a_junit_report_has_nothing_that_jenkins_refuses(result: BuildResult) -> None:
    """The elements and attributes of `junit-10.xsd` in Jenkins' xUnit plug-in, as far as they are used here."""
    counts = {"name", "time", "tests", "failures", "errors"}
    known = {
        "testsuites": (counts, {"testsuite"}),
        "testsuite": (counts | {"skipped"}, {"testcase"}),
        "testcase": ({"name", "time", "classname"}, {"skipped", "failure", "system-out"}),
        "failure": ({"type", "message"}, set()),
        "skipped": ({"type", "message"}, set()),
        "system-out": (set(), set()),
    }
    for element in ET.fromstring(junit(result, 13.0)).iter():
        attributes, children = known[element.tag]
        assert {*element.keys()} <= attributes
        assert {child.tag for child in element} <= children


def test_a_junit_report_holds_whatever_a_step_said() -> None:
    error = ExitError("x]]>\0\x0b<&\ud800", 1, log=bytes(range(256)) + "\ufffe".encode())
    root = ET.fromstring(junit(BuildResult({"a": TargetResult('a"<\0', Outcome.FAILED, error=error)}), 1).encode())
    assert root[0][0].attrib["name"] == 'a"<'

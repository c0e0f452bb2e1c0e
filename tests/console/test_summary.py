from support.build_story import digest

from bakery.console import summary
from engine.events import Warned
from engine.llb import ops
from engine.llb.definition import Place
from engine.request import BuildResult, Outcome, TargetResult

IMAGE = {"containerimage.digest": "sha256:0123456789abcdef", "image.name": "example/api:1,example/api:latest"}


def result(*targets: TargetResult) -> BuildResult:
    return BuildResult({target.name: target for target in targets})


def test_a_line_for_each_target() -> None:
    text = summary.targets(
        result(
            TargetResult("api", Outcome.SUCCEEDED, IMAGE, None, steps=12, hits=3, seconds=12.34),
            TargetResult("web-site", Outcome.CACHED, {}, None, steps=1, hits=1, seconds=0.1),
            TargetResult("db", Outcome.FAILED, {}, ValueError(), steps=5, hits=2, seconds=3.2),
            TargetResult("tail", Outcome.NOT_STARTED),
        )
    )
    assert text == (
        " api       built       12.3s  3/12 steps cached  sha256:0123456789ab  example/api:1 example/api:latest\n"
        " web-site  cached       0.1s  1/1 step cached\n"
        " db        FAILED       3.2s  2/5 steps cached\n"
        " tail      not started\n"
    )


def test_where_there_are_no_steps_none_are_counted() -> None:
    """As where results are exported again."""
    text = summary.targets(result(TargetResult("api", Outcome.SUCCEEDED, steps=0, seconds=0.2)))

    assert text == " api  built        0.2s\n"


def test_of_many_targets_failures_come_first_and_the_rest_is_counted() -> None:
    well = [TargetResult(f"t{n}", Outcome.CACHED, seconds=n) for n in range(100)]
    lines = summary.targets(result(*well, TargetResult("bad", Outcome.FAILED))).splitlines()
    assert lines[0].split()[:2] == ["bad", "FAILED"]
    assert lines[1].split()[0] == "t99"
    assert lines[-1] == " 101 targets: 100 cached, 1 FAILED"
    assert len(lines) == summary.TARGETS_SHOWN + 1


def test_on_a_narrow_screen_names_have_a_line_of_their_own() -> None:
    target = TargetResult("api", Outcome.SUCCEEDED, IMAGE, None, steps=12, hits=3, seconds=12.34)
    line, below = summary.targets(result(target), columns=80).splitlines()
    assert line == " api  built       12.3s  3/12 steps cached  sha256:0123456789ab"
    assert below == "      example/api:1 example/api:latest"
    assert summary.targets(result(target), columns=200).count("\n") == 1


def test_of_many_targets_those_that_were_not_started_come_last() -> None:
    idle = [TargetResult(f"t{n}", Outcome.NOT_STARTED) for n in range(50)]
    done = [TargetResult(f"d{n}", Outcome.SUCCEEDED) for n in range(10)]
    lines = summary.targets(result(*idle, *done, TargetResult("cut", Outcome.CANCELLED, seconds=3.0))).splitlines()
    assert lines[0].split() == ["cut", "canceled", "3.0s"]
    assert [line.split()[0] for line in lines[1:11]] == [f"d{n}" for n in range(10)]
    assert lines[-1] == " 61 targets: 50 not started, 10 built, 1 canceled"


def test_after_the_end_a_next_step_is_named() -> None:
    cut = {"a": TargetResult("a", Outcome.CANCELLED)}
    assert summary.next_steps(BuildResult(cut, stopped=True)).startswith("next: the same command goes on")
    assert summary.next_steps(BuildResult({"a": TargetResult("a", Outcome.SUCCEEDED)})) == ""


def warned(line: int, short: str) -> Warned:
    source = ops.SourceInfo("Dockerfile", b"", "Dockerfile")
    place = Place(source, (ops.Range(ops.Position(line, 0), ops.Position(line, 0)),))
    return Warned(digest(1), short, ("Because.",), "https://example.com/rule", 1, (place,))


def test_warnings_are_told_once_each_and_explained_on_demand() -> None:
    found = [warned(3, "JSONArgsRecommended"), warned(7, "StageNameCasing"), warned(3, "JSONArgsRecommended")]
    assert summary.warnings(found) == (
        "\n 2 warnings found (use --debug to expand):\n"
        " - JSONArgsRecommended (Dockerfile:3)\n"
        " - StageNameCasing (Dockerfile:7)\n"
    )
    assert summary.warnings(found[:1], debug=True) == (
        "\n 1 warning found:\n - JSONArgsRecommended (Dockerfile:3)\n   Because.\n   https://example.com/rule\n"
    )
    assert summary.warnings([]) == ""


def test_a_warning_says_its_line_once() -> None:
    found = [warned(12, "Casing: 'as' and 'FROM' do not match (line 12)"), warned(2, "Casing: see above (line 12)")]
    assert summary.warnings(found).splitlines()[2:] == [
        " - Casing: 'as' and 'FROM' do not match (Dockerfile:12)",
        " - Casing: see above (line 12) (Dockerfile:2)",
    ]

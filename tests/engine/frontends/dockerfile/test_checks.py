"""Checks, outlines and lists of targets are the peer's for every recorded case, as JSON and as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.errors import DefinitionError
from engine.frontends.contract import FrontendRequest, LocalFolder
from engine.frontends.dockerfile import answers, subrequests
from engine.frontends.dockerfile.lint.options import BadCheckOption, CheckOptions, parse
from engine.frontends.dockerfile.lint.rules import OWN, UNDEFINED_VAR
from engine.frontends.dockerfile.subrequests import Checked
from engine.llb.ops import Position, Range
from tests.support.dockerfile_cases import AMD64, VECTORS, Case, RecordedBridge, load_compare, lower

COMPARE = load_compare()
BASE = "FROM localhost:5000/busybox:1.35\n"


def asking(name: str) -> list[Any]:
    found = []
    for file in sorted(VECTORS.glob("*/case.json")):
        case = json.loads(file.read_text())
        for build, fields in (case.get("builds") or {"": {}}).items():
            one = Case(
                file.parent, build, {**case, **fields, "opts": {**case.get("opts", {}), **fields.get("opts", {})}}
            )
            if (one.expected / f"{name}.json").exists():
                found.append(pytest.param(one, id=one.name))
    return found


def recorded(case: Case, name: str) -> Any:
    return json.loads((case.expected / f"{name}.json").read_text())


def text_of(case: Case, name: str) -> str:
    file = case.expected / f"{name}.txt"
    return file.read_text() if file.exists() else ""


def blocks(text: str) -> list[str]:
    """The warnings of a text; those of one line stand in no fixed order."""
    return sorted(text.split("\nWARNING: "))


@pytest.mark.parametrize("case", asking("lint"))
def test_checks_find_what_the_peer_finds(case: Case, tmp_path: Path) -> None:
    checked = trio.run(subrequests.check, case.request(), RecordedBridge(case, tmp_path))
    theirs = tuple(warning for warning in checked.warnings if warning.rule not in OWN)
    found = answers.lint_json(Checked(checked.source, theirs, checked.error))
    assert COMPARE.normal_notes(found) == recorded(case, "lint")
    assert blocks(answers.lint_text(theirs)) == blocks(text_of(case, "lint"))


@pytest.mark.parametrize("case", asking("outline"))
def test_outlines_tell_what_the_peer_tells(case: Case, tmp_path: Path) -> None:
    outline = trio.run(subrequests.outline, case.request(), RecordedBridge(case, tmp_path))
    assert COMPARE.normal_notes(answers.outline_json(outline)) == recorded(case, "outline")
    if wanted := text_of(case, "outline"):
        rows = [answers.outline_text(outline).split("\n"), wanted.split("\n")]
        assert sorted(filter(None, rows[0])) == sorted(filter(None, rows[1]))


@pytest.mark.parametrize("case", asking("targets"))
def test_targets_are_listed_as_the_peer_lists_them(case: Case, tmp_path: Path) -> None:
    found = trio.run(subrequests.targets, case.request(), RecordedBridge(case, tmp_path))
    assert COMPARE.normal_notes(answers.targets_json(found)) == recorded(case, "targets")
    assert answers.targets_text(found) == text_of(case, "targets")


def request(folder: Path, text: str, **options: str) -> FrontendRequest:
    local = {name: LocalFolder(name, folder) for name in ("context", "dockerfile")}
    given = {key.replace("__", ":"): value for key, value in options.items()}
    return FrontendRequest(given, local, dockerfile=text, default_platform=AMD64)


def checked(folder: Path, text: str, **options: str) -> Checked:
    return trio.run(subrequests.check, request(folder, text, **options), RecordedBridge())


def test_a_build_fails_by_a_check_only_where_the_file_asks_for_it(tmp_path: Path) -> None:
    loud = BASE + "ENV a b\nCMD x\n"
    assert len(trio.run(lower, request(tmp_path, loud)).warnings) == 2
    message = "lint violation found for rules: JSONArgsRecommended, LegacyKeyValueFormat"
    with pytest.raises(DefinitionError, match=message):
        trio.run(lower, request(tmp_path, "# check=error=true\n" + loud))


def test_what_the_peer_accepts_never_fails_a_build(tmp_path: Path) -> None:
    text = "# check=error=true%s\n" + BASE + "COPY *.none /x/\n"
    assert [w.rule for w in trio.run(lower, request(tmp_path, text % "")).warnings] == ["WildcardMatchesNothing"]
    assert not trio.run(lower, request(tmp_path, text % ";skip=WildcardMatchesNothing")).warnings


def test_checks_go_on_to_the_line_that_is_wrong(tmp_path: Path) -> None:
    found = checked(tmp_path, "FROM a AS B\nMAINTAINER me\nCOPYY a b\nMAINTAINER you\n")
    assert [w.rule for w in found.warnings] == ["StageNameCasing", "MaintainerDeprecated"]
    assert found.error is not None
    assert "did you mean COPY?" in found.error.message


def test_an_outline_has_what_can_be_given_and_not_what_is_known_anyway(tmp_path: Path) -> None:
    text = "ARG BIN\nARG V=1\n" + BASE + "ARG BIN\nARG V\nARG TARGETARCH\nARG W=${V}\n"
    outline = trio.run(subrequests.outline, request(tmp_path, text), RecordedBridge())
    lines = [(arg.name, arg.value, arg.place.ranges[0].start) for arg in outline.args]
    assert lines == [("V", "1", Position(2)), ("BIN", "", Position(4)), ("W", "1", Position(7))]


def test_a_variable_that_must_be_set_is_undefined_as_well(tmp_path: Path) -> None:
    found = checked(tmp_path, BASE + "LABEL x=${must:?}\n")
    assert [w.rule for w in found.warnings] == ["UndefinedVar"]
    assert found.error is not None
    assert "must: is not allowed to be unset" in found.error.message


def test_all_stages_are_checked_where_no_target_is_named(tmp_path: Path) -> None:
    text = BASE.rstrip() + " AS unused\nWORKDIR x\n" + BASE.rstrip() + " AS last\nWORKDIR y\n"
    assert [w.rule for w in checked(tmp_path, text).warnings] == ["WorkdirRelativePath"] * 2
    assert len(checked(tmp_path, text, target="last").warnings) == 1


def test_a_warning_points_at_what_is_to_blame(tmp_path: Path) -> None:
    text = BASE + "ENV a=1 \\\n  b=2\nWORKDIR /x/${nope}\nENV c=3 \\\n    MY_TOKEN=4\n"
    where = {w.rule: w.focus for w in checked(tmp_path, text).warnings}
    assert where == {
        "UndefinedVar": Range(Position(4, 11), Position(4, 17)),
        "SecretsUsedInArgOrEnv": Range(Position(6, 4), Position(6, 12)),
    }


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", CheckOptions()),
        ("skip=all", CheckOptions(skip_all=True)),
        (" skip = A , B ; error = 1 ", CheckOptions(frozenset({"A", "B"}), error=True)),
        ("experimental=X;skip=A", CheckOptions(frozenset({"A"}), experimental=frozenset({"X"}))),
    ],
)
def test_check_options(text: str, options: CheckOptions) -> None:
    assert parse(text) == options


@pytest.mark.parametrize("text", ["skipp=A", "skip", "error=maybe", ";"])
def test_check_options_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadCheckOption, match="check option"):
        parse(text)


def test_a_comment_above_an_instruction_counts_for_it_alone() -> None:
    options = CheckOptions(skip=frozenset({"A"}))
    assert not options.under(["check=skip=UndefinedVar and why"]).holds(UNDEFINED_VAR)
    assert options.under(["check=nonsense"]) == options
    assert options.under(["no directive, though it says check"]) == options

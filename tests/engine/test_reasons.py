"""Why a step ran: told by the real engine, down to the names of the files."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from support.in_process import Workplace

from engine.events import Change

BAKE = """
group "default" { targets = ["app"] }
target "app" { output = ["type=cacheonly"] }
"""


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", BAKE)
    place.write("Dockerfile", "FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/a /a\n")
    place.write("src/a", "a")
    place.write("src/deep/b", "b")
    place.write("src/deep/c", "c")
    return place


def test_the_first_build_is_the_first(place: Workplace) -> None:
    built = place.build_well()
    assert built.ran == ["COPY --from=one /src/a /a", "COPY src /src"]
    assert {each.cause for each in built.why.values()} == {"first"}


def test_what_is_known_needs_no_reason(place: Workplace) -> None:
    place.build_well()
    assert place.build_well().why == {}


def test_changed_files_are_named(place: Workplace) -> None:
    place.build_well()
    place.write("src/deep/b", "longer")
    place.write("src/new", "")
    os.unlink(place.folder / "src/deep/c")
    found = place.build_well().reason("COPY src")
    assert found.cause == "files"
    assert set(found.changes) == {
        Change("file", "src/deep/b", "file 0644 1 bytes", "file 0644 6 bytes"),
        Change("file", "src/deep/c", "file 0644 1 bytes", None),
        Change("file", "src/new", None, "file 0644 0 bytes"),
    }


def test_files_that_come_from_another_stage_are_named_with_the_stage(place: Workplace) -> None:
    place.build_well()
    place.write("src/a", "longer")
    built = place.build_well()
    assert built.reason("COPY src").changes == (Change("file", "src/a", "file 0644 1 bytes", "file 0644 6 bytes"),)
    found = built.reason("--from=one")
    assert found.cause == "input"
    step, file = found.changes
    assert (step.kind, step.name.partition("] ")[2]) == ("step", "COPY src /src")
    assert file == Change("file", f"src/a in {step.name}", "file 0644 1 bytes", "file 0644 6 bytes")


def test_a_stage_that_changed_elsewhere_costs_nothing_and_is_compared_with_what_was_taken_last(
    place: Workplace,
) -> None:
    place.write("Dockerfile", "FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/deep /d\n")
    place.build_well()
    place.write("src/a", "another")
    assert place.build_well().ran == ["COPY src /src"], "what is taken of it is the same"
    place.write("src/deep/b", "longer")
    found = place.build_well().reason("--from=one")
    assert [c.name.partition(" in ")[0] for c in found.changes if c.kind == "file"] == ["src/deep/b"]


def test_a_mode_a_kind_and_a_link_are_named(place: Workplace) -> None:
    os.symlink("a", place.folder / "src/link")
    place.build_well()
    (place.folder / "src/a").chmod(0o755)
    (place.folder / "src/deep").chmod(0o700)
    os.unlink(place.folder / "src/link")
    os.symlink("b", place.folder / "src/link")
    found = place.build_well().reason("COPY src").changes
    assert set(found) == {
        Change("file", "src/a", "file 0644 1 bytes", "file 0755 1 bytes"),
        Change("file", "src/deep", "folder 0755", "folder 0700"),
        Change("file", "src/link", "link 0777", "link 0777"),
    }


def test_what_was_between_two_builds_of_other_targets_is_still_told(place: Workplace) -> None:
    place.write("docker-bake.hcl", BAKE + 'target "other" { target = "one" }\n')
    place.build_well("app")
    place.write("src/deep/b", "other")
    place.build_well("other")
    place.write("src/deep/c", "again")
    found = place.build_well("app").reason("COPY src")
    assert {change.name for change in found.changes} == {"src/deep/b", "src/deep/c"}


def test_a_changed_instruction_says_from_what_to_what(place: Workplace) -> None:
    place.build_well()
    place.write("Dockerfile", "FROM scratch\nCOPY --chmod=700 src /src\n")
    found = place.build_well().reason("COPY --chmod")
    assert found.cause == "operation"
    assert Change("command", "instruction", "COPY src /src", "COPY --chmod=700 src /src") in found.changes


def test_a_line_put_between_others_is_new_and_what_follows_names_its_new_input(place: Workplace) -> None:
    place.write("Dockerfile", "FROM scratch\nCOPY src /one\nCOPY src/a /two\n")
    place.build_well()
    place.write("Dockerfile", "FROM scratch\nCOPY src /one\nWORKDIR /between\nCOPY src/a /two\n")
    built = place.build_well()
    assert built.reason("WORKDIR").cause == "new"
    after = built.reason("COPY src/a")
    assert after.cause == "input"
    assert [(c.kind, c.name.partition("] ")[2]) for c in after.changes] == [("step", "WORKDIR /between")]


def test_ignoring_the_cache_is_a_reason(place: Workplace) -> None:
    place.build_well()
    built = place.build_well(no_cache=True)
    assert {each.cause for each in built.why.values()} == {"anew"}


def test_a_step_that_failed_says_so_the_next_time(place: Workplace) -> None:
    place.write(
        "Dockerfile", "FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/new /\nWORKDIR /x\n"
    )
    failed = place.build()
    assert str(failed.result.targets["app"].error) == '"/src/new": not found'
    assert failed.ran == ["COPY src /src"]
    place.write(
        "Dockerfile", "FROM scratch AS one\nCOPY src /src\nFROM scratch\nCOPY --from=one /src/a /\nWORKDIR /x\n"
    )
    built = place.build_well()
    assert built.ran == ["COPY --from=one /src/a /", "WORKDIR /x"], "what had ended before the failure is kept"
    assert built.reason("WORKDIR").cause == "input"


def test_a_lost_result_is_told_as_lost(place: Workplace) -> None:
    place.build_well()
    with sqlite3.connect(place.root / "state.db") as database:
        database.execute("DELETE FROM records")
    built = place.build_well()
    assert built.reason("COPY src").cause == "lost"
    assert built.reason("COPY --from").cause == "lost", "what it takes is as it was"


def test_targets_of_the_same_name_in_two_projects_are_kept_apart(place: Workplace, tmp_path: Path) -> None:
    place.build_well()
    other = Workplace(tmp_path / "other", place.root)
    other.write("docker-bake.hcl", BAKE)
    other.write("Dockerfile", "FROM scratch\nWORKDIR /somewhere\n")
    assert {each.cause for each in other.build_well().why.values()} == {"first"}

"""What is remembered of targets, and of what folders held."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.cache.content.contents import Contents
from engine.cache.content.trees import TreeChanges
from engine.cache.memory import Remembered, TargetMemory
from engine.digests import Digest, sha256
from engine.ops.contract import Selection
from engine.results import LocalTree
from engine.sources.folder import Folder
from engine.state import State

DAY = 86400.0
ALL = (Selection("/"),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for name in ("a", "deep/b", "deep/er/c", "other/d"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def looked_at(folder: Path, **filters: tuple[str, ...]) -> LocalTree:
    """The folder as a build sees it now."""
    return LocalTree(folder, seen=Folder(folder), **filters)


def remember(state: State, folder: Path, selections: tuple[Selection, ...] = ALL, **filters: tuple[str, ...]) -> Digest:
    contents, tree = Contents(state), looked_at(folder, **filters)
    digest = contents.of_folder(tree, selections)
    contents.remember([(tree, selections)])
    return digest


def compare(
    state: State, folder: Path, before: Digest, selections: tuple[Selection, ...] = ALL, **filters: tuple[str, ...]
) -> TreeChanges | None:
    return Contents(state).compare(looked_at(folder, **filters), selections, before)


def names(found: TreeChanges | None) -> set[str]:
    assert found is not None
    return {name for name, _, _ in found.paths}


def test_targets_are_remembered_by_project(state: State) -> None:
    memory = TargetMemory(state)
    memory.save("/one", {"app": Remembered("f", "steps"), "web": Remembered("g", "ß")})
    memory.save("/two", {"app": Remembered("h", "")})
    assert memory.fingerprints("/one") == {"app": "f", "web": "g"}
    assert memory.load("/one", ["web", "none"]) == {"web": Remembered("g", "ß")}
    assert memory.load("/two", ["app", "web"]) == {"app": Remembered("h", "")}


def test_targets_that_nobody_builds_are_forgotten_after_three_months(state: State) -> None:
    now = 1000 * DAY
    memory = TargetMemory(state, clock=lambda: now)
    memory.save("/one", {"old": Remembered("f", "")})
    now += 60 * DAY
    memory.save("/one", {"app": Remembered("f", "")})
    now += 60 * DAY
    memory.save("/one", {"new": Remembered("f", "")})
    assert set(memory.fingerprints("/one")) == {"app", "new"}


def test_what_changed_is_found_however_deep(state: State, folder: Path) -> None:
    before = remember(state, folder)
    (folder / "deep/er/c").write_text("changed")
    (folder / "other/d").unlink()
    (folder / "deep/new").mkdir()
    found = compare(state, folder, before)
    assert names(found) == {"deep/er/c", "other/d", "deep/new"}


def test_an_unknown_checksum_is_no_error(state: State, folder: Path) -> None:
    assert compare(state, folder, sha256(b"never seen")) is None


def test_only_folders_that_changed_are_written_again(state: State, folder: Path) -> None:
    remember(state, folder)
    (folder / "deep/er/c").write_text("changed")
    state.write("UPDATE trees SET seen = ?", 4e9)  # far from being forgotten
    remember(state, folder)
    written = state.query("SELECT count(*) FROM trees WHERE seen < 4e9")[0][0]
    assert written == 4, "what is selected, the top, deep and deep/er, but not other"


def test_the_first_changes_are_named_and_the_others_counted(state: State, folder: Path) -> None:
    before = remember(state, folder)
    for number in range(50):
        (folder / f"new{number}").write_text("")
    found = compare(state, folder, before)
    assert found is not None
    assert (len(found.paths), found.more) == (20, 30)


def test_patterns_and_filters_compare_what_they_take(state: State, folder: Path) -> None:
    pattern = (Selection("/de*/*", wildcard=True),)
    before = remember(state, folder, pattern)
    (folder / "a").write_text("does not count")
    (folder / "deep/b").write_text("changed")
    assert names(compare(state, folder, before, pattern)) == {"deep/b"}
    before = remember(state, folder, exclude=("other",))
    (folder / "other/d").write_text("hidden")
    (folder / "deep/er/c").write_text("changed again")
    assert names(compare(state, folder, before, exclude=("other",))) == {"deep/er/c"}


def test_names_that_are_no_text_are_remembered(state: State, folder: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/odd \xff\n name"))
    odd.write_text("1")
    before = remember(state, folder)
    odd.write_text("longer")
    found = compare(state, folder, before)
    assert names(found) == {odd.name}


def test_a_mode_is_told_beside_what_changed_in_a_folder(state: State, folder: Path) -> None:
    before = remember(state, folder)
    (folder / "deep").chmod(0o700)
    (folder / "deep/b").write_text("changed")
    found = compare(state, folder, before)
    assert names(found) == {"deep", "deep/b"}

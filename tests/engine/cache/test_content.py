"""Content checksums: the digests that BuildKit makes, and what a stat cache must never get wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cache.content import files
from engine.cache.content.contents import Contents
from engine.cache.content.errors import MissingError, missing
from engine.cache.content.header import EMPTY
from engine.concurrency import MustWait, in_thread, run_now
from engine.digests import sha256
from engine.errors import EngineError, SourceError
from engine.ops.contract import Selection
from engine.results import LocalTree, Snapshot
from engine.snapshots.overlay_format import overlay_format
from engine.snapshots.tree import LayeredTree
from engine.sources.folder import ChangedError, Folder
from engine.sources.local import LocalView, open_tree
from engine.state import State
from engine.tree import Entry


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    return folder


def digest(state: State, folder: Path, *selections: Selection, **filters: tuple[str, ...]) -> str:
    return Contents(state).of_folder(LocalTree(folder, **filters, seen=Folder(folder)), selections)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def test_a_file_has_the_content_record_of_buildkit(state: State, context: Path) -> None:
    write(context / "a.txt", "a\n")
    content = digest(state, context, Selection("/a.txt", follow_links=True))
    record = sha256(f"{content}@-1".encode())
    assert record == "sha256:d9bbc07d27ae5f69fef43f29e6b42b3cb97b88c514516b9e4166bf30bc1a355e"


def test_a_wildcard_that_matches_nothing_is_the_digest_of_nothing(state: State, context: Path) -> None:
    assert digest(state, context, Selection("/*.go", wildcard=True)) == sha256(EMPTY.encode())


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda f: f.write_text("two\n"),
    "mode": lambda f: f.chmod(0o600),
    "set-uid": lambda f: f.chmod(0o4644),
    "attribute": lambda f: os.setxattr(f, "user.x", b"1"),
    "name": lambda f: f.rename(f.with_name("other")),
    "letter case": lambda f: f.rename(f.with_name("File")),
    "kind": lambda f: (f.unlink(), f.symlink_to("link")),
    "empty folder": lambda f: (f.unlink(), f.mkdir()),
    "second file": lambda f: f.with_name("file2").write_text(""),
    "link target": lambda f: (f.with_name("link").unlink(), f.with_name("link").symlink_to("elsewhere")),
    "folder's mode": lambda f: f.parent.chmod(0o700),
    "same size, same time": lambda f: _edit_in_secret(f),
}


def _edit_in_secret(path: Path) -> None:
    info = path.stat()
    path.write_text("0ne\n")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_shows(state: State, context: Path, change: str) -> None:
    file = context / "d" / "file"
    write(file, "one\n")
    (context / "d" / "link").symlink_to("target")
    whole = Selection("/d")
    before = digest(state, context, whole)
    assert digest(state, context, whole) == before
    CHANGES[change](file)
    assert digest(state, context, whole) != before


def test_rapid_edits_of_the_same_size_all_show(state: State, context: Path) -> None:
    file = context / "f"
    seen = set()
    for i in range(10):
        file.write_text(str(i))
        os.utime(file, ns=(0, 0))
        seen.add(digest(state, context, Selection("/f")))
    assert len(seen) == 10


def test_neither_times_nor_owners_nor_the_place_count(state: State, context: Path, tmp_path: Path) -> None:
    write(context / "d" / "f", "x")
    copy = tmp_path / "copy"
    shutil.copytree(context, copy)
    os.utime(copy / "d" / "f", (1, 1))
    if os.geteuid() == 0:
        os.chown(copy / "d" / "f", 3, 4)
    assert digest(state, copy, Selection("/d")) == digest(state, context, Selection("/d"))


def test_unchanged_files_are_not_read_again(state: State, context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(5):
        write(context / "d" / f"f{i}", str(i))
    before = digest(state, context, Selection("/d"))
    opened: list[str] = []
    real_open = Folder.open
    monkeypatch.setattr(Folder, "open", lambda self, path: (opened.append(path), real_open(self, path))[1])
    assert digest(state, context, Selection("/d")) == before
    assert opened == []
    write(context / "d" / "f3", "changed")
    assert digest(state, context, Selection("/d")) != before
    assert opened == ["d/f3"]


def test_a_file_that_changes_after_it_was_looked_at_is_an_error(state: State, context: Path) -> None:
    file = context / "f"
    write(file, "one")
    local = LocalTree(context, seen=Folder(context))
    Contents(state).of_folder(local, (Selection("/f"),))
    file.write_text("two")
    with pytest.raises(ChangedError, match="f changed while the build was reading it"):
        open_tree(local).open("/f")
    file.unlink()
    with pytest.raises(ChangedError):
        open_tree(local).open("/f")


def test_a_file_that_changes_while_it_is_read_is_an_error(context: Path) -> None:
    write(context / "f", "one")
    file = open_tree(LocalTree(context)).open("/f")
    (context / "f").write_text("two")
    with pytest.raises(ChangedError):
        file.close()


def test_filters_count_only_by_what_they_let_through(state: State, context: Path) -> None:
    write(context / "src" / "a.c", "a")
    plain = digest(state, context, Selection("/src"))
    write(context / "src" / "a.o", "o")
    assert digest(state, context, Selection("/src"), exclude=("**/*.o",)) == plain
    assert digest(state, context, Selection("/src"), exclude=("**", "!src/a.c")) == plain
    assert digest(state, context, Selection("/src"), include=("src/a.c",)) == plain
    assert digest(state, context, Selection("/src"), follow=("src/*.c",)) == plain


def test_links_are_followed_inside_the_folder_only(state: State, context: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret", "s")
    write(context / "real" / "f", "x")
    (context / "link").symlink_to("/real")
    (context / "out").symlink_to("../secret")
    inside = digest(state, context, Selection("/real/f"))
    assert digest(state, context, Selection("/link/f")) == inside
    with pytest.raises(MissingError):
        digest(state, context, Selection("/out", follow_links=True))
    (context / "loop").symlink_to("loop")
    with pytest.raises(SourceError, match="too many levels"):
        digest(state, context, Selection("/loop", follow_links=True))


def test_a_missing_path_names_the_nearest(state: State, context: Path) -> None:
    write(context / "src" / "main.cc", "")
    write(context / "src" / "other", "")
    with pytest.raises(MissingError) as caught:
        digest(state, context, Selection("/src/Main.c"))
    assert str(caught.value) == '"/src/Main.c": not found'
    assert caught.value.hint == "did you mean /src/main.cc?"


def test_a_hidden_path_names_the_rule(state: State, context: Path) -> None:
    write(context / "docs" / "a.md", "")
    with pytest.raises(MissingError) as caught:
        digest(state, context, Selection("/docs/a.md"), exclude=("*.txt", "**/*.md"))
    assert caught.value.rule == "**/*.md"
    assert "'**/*.md' of .dockerignore hides it" in caught.value.hint


def test_a_rule_that_stands_in_the_folder_has_a_line(context: Path) -> None:
    (context / ".dockerignore").write_text("# notes\n\n/docs\n")
    (context / "docs").mkdir()
    view = open_tree(LocalTree(context, exclude=("docs",), follow=("docs",)))
    error = missing(view, "/docs")
    assert error.hint == "it is there, but line 3 of .dockerignore ('docs') hides it"


def test_the_nearest_are_looked_for_in_all_that_the_folder_offers(context: Path) -> None:
    (context / "main.py").touch()
    (context / "main.pyc").touch()
    view = open_tree(LocalTree(context, exclude=("*.pyc",), follow=("man.py",)))
    assert missing(view, "/man.py").hint == "did you mean /main.py?"


def test_where_nothing_is_alike_the_folder_is_listed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for number in range(10):
        (tmp_path / f"{number}.txt").touch()
    view = open_tree(LocalTree(tmp_path))
    listed = "/ has 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 6.txt, 7.txt and 3 more"
    assert missing(view, "/zebra").hint == listed
    assert missing(view, "/zebra/stripes").hint == listed
    assert missing(view, "/empty/zebra").hint == "/empty is empty"


def test_required_paths_must_be_there(state: State, context: Path) -> None:
    write(context / "a" / "b", "")
    assert digest(state, context, Selection("/", include=("a/b",), required=("/a/b",)))
    with pytest.raises(MissingError, match='"/a/c": not found'):
        digest(state, context, Selection("/", include=("a/c",), required=("/a/c",)))


def test_a_snapshot_is_hashed_once(state: State, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    write(layer / "f", "x")
    tree = LayeredTree([layer], overlay_format())
    snapshot = Snapshot(("layer",))  # type: ignore[arg-type]
    contents = Contents(state)
    found = contents.of_snapshot(snapshot, tree, (Selection("/f"),))
    assert contents.known(snapshot, (Selection("/f"),)) == found
    assert contents.known(snapshot, (Selection("/"),)) is None
    assert contents.of_snapshot(Snapshot(), LayeredTree([], overlay_format()), (Selection("/"),)) == sha256(
        EMPTY.encode()
    )


def test_deep_folders_are_no_problem(state: State, context: Path) -> None:
    here = os.open(context, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    try:
        assert digest(state, context, Selection("/d"))
    finally:
        subprocess.run(["rm", "-rf", context], check=True)


def test_what_is_known_of_small_folders_is_read_at_once(state: State, tmp_path: Path) -> None:
    questions = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        for name in ("a", "b", "c"):
            (folder / name).write_text(name)
        local = LocalTree(folder, seen=Folder(folder))
        questions += [(local, (Selection(f"/{name}"),)) for name in ("a", "b", "c", "missing")]
    first = Contents(state).of_folders(questions)
    assert [isinstance(each, EngineError) for each in first] == [False, False, False, True] * 2
    statements: list[str] = []
    with state.exclusive() as database:
        database.set_trace_callback(statements.append)
    fresh = {local.path: Folder(local.path) for local, _ in questions}
    again = [(LocalTree(local.path, seen=fresh[local.path]), taken) for local, taken in questions]
    assert Contents(state).of_folders(again)[:3] == first[:3]
    assert sum("FROM files" in text for text in statements) == 2
    assert not any("COMMIT" in text for text in statements), "nothing was read anew"


def test_of_a_folder_with_many_known_files_only_what_is_asked_for_is_read(state: State, context: Path) -> None:
    for number in range(250):
        write(context / f"{number}", str(number))
    whole = digest(state, context)
    assert digest(state, context, Selection("/7")) == digest(state, context, Selection("/7"))
    write(context / "7", "other")
    assert digest(state, context) != whole


def test_much_that_is_new_in_several_folders_is_not_read_without_a_word_nor_read_twice(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without trio nobody is told, so reading stops when it gets much; what was read by then is known."""
    read: list[str] = []
    digest_of = files.entry_digest

    def counting(view: LocalView, path: str, entry: Entry, went: object) -> str:
        read.append(f"{view.folder.path.name}{path}")
        return digest_of(view, path, entry)

    monkeypatch.setattr(files, "entry_digest", counting)
    monkeypatch.setattr(files, "_FEW", 10)
    trees = []
    for name in ("one", "two", "three"):
        for number in range(6):
            write(tmp_path / name / f"f{number}", f"{number}")
        trees.append(LocalTree(tmp_path / name, seen=Folder(tmp_path / name)))
    contents = Contents(state)
    questions = [(tree, (Selection("/"),)) for tree in trees]
    with pytest.raises(MustWait):
        run_now(in_thread, contents.of_folders, questions)
    assert len(read) == 10
    found = contents.of_folders(questions)
    assert not any(isinstance(digest, EngineError) for digest in found)
    assert len(read) == len(set(read)) == 18


def test_a_single_file_that_takes_long_is_not_read_without_a_word(state: State, context: Path) -> None:
    with (context / "big").open("wb") as file:
        file.truncate(100 << 20)
    tree = LocalTree(context, seen=Folder(context))
    with pytest.raises(MustWait):
        run_now(in_thread, Contents(state).of_folder, tree, (Selection("/"),))

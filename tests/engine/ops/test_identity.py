"""Cache maps of file ops."""

from __future__ import annotations

import hashlib

from engine.llb.ops import ChownOpt, Copy, FileAction, FileOp, MkDir, NamedUserOpt, Rm, UserOpt
from engine.ops.contract import Dependency, Selection
from engine.ops.file.identity import cache_map


def copy(src: str, *, wildcard: bool = True, owner: ChownOpt | None = None, **more: object) -> FileAction:
    body = Copy(src=src, dest="/x/", owner=owner, mode=-1, follow_symlink=True, allow_wildcard=wildcard, timestamp=-1)
    return FileAction(0, 1, 0, copy=body)


def test_only_the_last_name_of_a_source_is_hashed() -> None:
    one = cache_map(FileOp((copy("/a/b/c.txt"),)), 2)
    other = cache_map(FileOp((copy("/z/c.txt"),)), 2)
    assert one.digest == other.digest
    assert one.digest != cache_map(FileOp((copy("/a/b/d.txt"),)), 2).digest


def test_the_changed_input_counts_as_a_whole_and_the_source_by_its_content() -> None:
    found = cache_map(FileOp((copy("/a.txt"),)), 2)
    assert found.dependencies[0] == Dependency()
    assert found.dependencies[1].content == (Selection("/a.txt", follow_links=True),)
    assert found.dependencies[1].selector == "sha256:" + hashlib.sha256(b"/a.txt").hexdigest()


def test_selections_are_distinct_and_sorted_and_selectors_descend() -> None:
    actions = (
        FileAction(0, 1, -1, copy=copy("/b").copy),
        FileAction(2, 1, -1, copy=copy("/b/c").copy),
        FileAction(3, 1, 0, copy=copy("/a*").copy),
    )
    found = cache_map(FileOp(actions), 2).dependencies[1]
    assert found.content == (Selection("/a*", wildcard=True, follow_links=True), Selection("/b", follow_links=True))
    assert found.selector == "sha256:" + hashlib.sha256(b"/b/c\0/b\0/a*").hexdigest()


def test_named_owners_look_into_the_user_files() -> None:
    owner = ChownOpt(UserOpt(by_name=NamedUserOpt("app", 2)), UserOpt(by_name=NamedUserOpt("app", 2)))
    found = cache_map(FileOp((copy("/a", owner=owner),)), 3).dependencies[2]
    assert found.content == (
        Selection("/etc/group", follow_links=True),
        Selection("/etc/passwd", follow_links=True),
    )


def test_unusual_indexes_are_hashed() -> None:
    mkdir, rm = MkDir("/a", 0o755), Rm("/b")
    chain = FileOp((FileAction(0, -1, -1, mkdir=mkdir), FileAction(2, -1, 0, rm=rm)))
    apart = FileOp((FileAction(0, -1, 1, mkdir=mkdir), FileAction(0, -1, 0, rm=rm)))
    assert cache_map(chain, 1).digest != cache_map(apart, 1).digest


def test_an_action_of_scratch_has_no_dependencies() -> None:
    assert cache_map(FileOp((FileAction(-1, -1, 0, mkdir=MkDir("/a", 0o755)),)), 0).dependencies == ()

"""Folders of this machine as sources, and what their filters show."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trio

from engine.errors import SourceError
from engine.llb.definition import Vertex
from engine.llb.ops import SourceOp
from engine.results import LocalTree
from engine.sources.beneath import open_beneath, open_by_component
from engine.sources.folder import Folder
from engine.sources.follow import follow_paths
from engine.sources.local import LocalSource, LocalView, open_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("a/b/c.go", "a/b/d.md", "a/e.md", "f.go", "keep/x", "skip/y"):
        file = tmp_path / "context" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    return tmp_path / "context"


def shown(view: LocalView) -> list[str]:
    out, rest = [], ["/"]
    while rest:
        here = rest.pop()
        for name in view.names(here):
            path = here.rstrip("/") + "/" + name
            entry = view.lstat(path)
            assert entry is not None
            out.append(path)
            rest += [path] if entry.is_dir else []
    return sorted(out)


def test_everything_is_shown_without_filters_and_belongs_to_root(folder: Path) -> None:
    view = open_tree(LocalTree(folder))
    assert len(shown(view)) == 10
    assert view.lstat("/").mode & 0o7777 == 0o755  # type: ignore[union-attr]
    entry = view.lstat("/f.go")
    assert entry is not None
    assert (entry.uid, entry.gid, entry.size) == (0, 0, 4)


def test_exclude_with_exceptions_keeps_the_folders_on_the_way(folder: Path) -> None:
    view = open_tree(LocalTree(folder, exclude=("a", "skip", "!a/b/*.go")))
    assert shown(view) == ["/a", "/a/b", "/a/b/c.go", "/f.go", "/keep", "/keep/x"]
    assert view.lstat("/a/e.md") is None
    assert view.hidden_by("/a/e.md") == "a"
    assert view.hidden_by("/nothing") is None


def test_include_shows_nothing_else(folder: Path) -> None:
    assert shown(open_tree(LocalTree(folder, include=("**/*.go",)))) == ["/a", "/a/b", "/a/b/c.go", "/f.go"]
    assert shown(open_tree(LocalTree(folder, include=("keep",)))) == ["/keep", "/keep/x"]


def test_what_is_hidden_cannot_be_read(folder: Path) -> None:
    view = open_tree(LocalTree(folder, exclude=("f.go",)))
    with pytest.raises(FileNotFoundError):
        view.open("/f.go")
    with pytest.raises(FileNotFoundError):
        view.names("/nothing")
    with pytest.raises(NotADirectoryError):
        view.names("/keep/x")


def test_followed_paths_bring_the_links_on_the_way(folder: Path) -> None:
    (folder / "link").symlink_to("a/b")
    (folder / "chain").symlink_to("/link/c.go")
    (folder / "loop").symlink_to("loop")
    assert follow_paths(Folder(folder), ["/chain"]) == ("a/b/c.go", "chain", "link")
    assert follow_paths(Folder(folder), ["keep/x", "keep", "nothing", "lo?p"]) == ("keep", "lo?p", "loop", "nothing")
    assert follow_paths(Folder(folder), ["f.go", "/"]) == ()
    assert shown(open_tree(LocalTree(folder, follow=("chain",)))) == [
        "/a",
        "/a/b",
        "/a/b/c.go",
        "/chain",
        "/link",
    ]


def test_no_link_leads_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (folder / "out").symlink_to(tmp_path)
    view = open_tree(LocalTree(folder))
    assert view.lstat("/out/secret") is None
    with pytest.raises(OSError, match=r"links|directory"):
        view.folder.entries("out")
    root = os.open(folder, os.O_RDONLY)
    for opening in (open_beneath, open_by_component):
        with pytest.raises(OSError, match=r"links|directory"):
            opening(root, "out/secret", os.O_RDONLY | os.O_NOFOLLOW)
        os.close(opening(root, "a/b/c.go", os.O_RDONLY | os.O_NOFOLLOW))
    os.close(root)


def test_a_folder_stays_as_it_was_seen(folder: Path) -> None:
    seen = Folder(folder)
    before = seen.lstat("f.go")
    (folder / "f.go").write_text("longer than before")
    (folder / "new").write_text("")
    assert seen.lstat("f.go") == before
    assert seen.entries("")["f.go"] == before


def vertex(session: str = "s", **attributes: str) -> Vertex:
    attrs = {"local.session": session, **{f"local.{k}": v for k, v in attributes.items()}}
    return Vertex.make(SourceOp("local://context", attrs))


def test_a_vertex_becomes_a_filtered_folder_without_a_key(folder: Path) -> None:
    source = LocalSource(vertex(excludepatterns=json.dumps(["a"]), followpaths=json.dumps(["f.go"])), {"s": folder})
    resolved = trio.run(source.resolve)
    assert resolved.keys == ()
    assert isinstance(resolved.result, LocalTree)
    assert shown(open_tree(resolved.result)) == ["/f.go"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (vertex("other"), "no folder was given"),
        (vertex(includepattern="nonsense"), "is not a list of texts"),
        (vertex(includepattern="[1]"), "is not a list of texts"),
    ],
)
def test_what_cannot_be_had_is_told(folder: Path, made: Vertex, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        trio.run(LocalSource(made, {"s": folder}).resolve)


def test_a_missing_folder_and_a_malformed_pattern_are_told(folder: Path) -> None:
    with pytest.raises(SourceError, match="cannot read the folder"):
        Folder(folder / "nothing")
    with pytest.raises(SourceError, match="the pattern"):
        open_tree(LocalTree(folder, exclude=("[",)))

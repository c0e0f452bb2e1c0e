"""What was written down stays, though refs and files move on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.git import git
from support.web_server import web_server

from engine.blobs import BlobStore
from engine.digests import sha256
from engine.errors import SourceError
from engine.llb.definition import Vertex
from engine.llb.ops import SourceOp
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.sources.opening import SourceContext, open_source
from engine.sources.pins import PinKind, Pins
from engine.state import State


class Sources:
    """Sources of one state folder; each look at one is like a process of its own."""

    def __init__(self, root: Path) -> None:
        self.state = State.open(root)
        self.snapshots = SnapshotStore(self.state)

    def text(self, pins: Pins, identifier: str, name: str, **attrs: str) -> str:
        import trio

        vertex = Vertex.make(SourceOp(identifier, {f"git.{key}": value for key, value in attrs.items()}))

        async def run() -> str:
            blobs = BlobStore(self.state)
            context = SourceContext(self.state, self.snapshots, blobs, lambda: None, {}, None, pins)  # type: ignore[arg-type, return-value]
            found = (await open_source(vertex, context).resolve()).result
            assert isinstance(found, Snapshot)
            await self.snapshots.ensure(found, lambda *_: None)
            with self.snapshots.tree(found).open(f"/{name}") as file:
                return file.read().decode()

        return trio.run(run)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path / "state")


def garden(folder: Path) -> Path:
    """A repository of one commit."""
    repository = folder / "garden.git"
    repository.mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    (repository / "bed").write_text("carrot")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "1")
    return repository


def test_a_branch_that_moves(tmp_path: Path, sources: Sources) -> None:
    with web_server() as web:
        web.repositories = tmp_path / "www"
        repository = garden(web.repositories)
        url = f"{web.url}/garden.git"
        identifier = f"git://127.0.0.1:{web.port}/garden.git#main"

        first = Pins()
        assert sources.text(first, identifier, "bed", fullurl=url) == "carrot"
        assert first.seen == {(PinKind.GIT, f"{url}#main"): git(repository, "rev-parse", "HEAD")}
        (repository / "bed").write_text("beet")
        git(repository, "commit", "-q", "-am", "2")
        assert sources.text(Pins(first.seen, strict=True), identifier, "bed", fullurl=url) == "carrot"
        assert sources.text(Pins(), identifier, "bed", fullurl=url) == "beet"
        with pytest.raises(SourceError, match="not in the lock"):
            sources.text(Pins(strict=True), identifier, "bed", fullurl=url)


def test_a_file_that_changes(sources: Sources) -> None:
    with web_server() as web:
        web.files["/file"] = b"one"
        first = Pins()
        assert sources.text(first, f"{web.url}/file", "file") == "one"
        assert first.seen == {(PinKind.URL, f"{web.url}/file"): sha256(b"one")}
        web.files["/file"] = b"two"
        assert sources.text(Pins(first.seen, strict=True), f"{web.url}/file", "file") == "one", "it is still here"
        sources.state.write("DELETE FROM blobs")
        with pytest.raises(SourceError) as caught:
            sources.text(Pins(first.seen, strict=True), f"{web.url}/file", "file")
    assert str(caught.value) == f"{web.url}/file is {sha256(b'two')} now, but {sha256(b'one')} in the lock"
    assert "bakery lock --update" in caught.value.hint


def test_a_branch_whose_commit_is_gone(tmp_path: Path, sources: Sources) -> None:
    with web_server() as web:
        web.repositories = tmp_path / "www"
        repository = garden(web.repositories)
        now, gone = git(repository, "rev-parse", "HEAD"), "1" * 40
        url = f"{web.url}/garden.git"
        locked = Pins({(PinKind.GIT, f"{url}#main"): gone}, strict=True)
        with pytest.raises(SourceError) as caught:
            sources.text(locked, f"git://127.0.0.1:{web.port}/garden.git#main", "bed", fullurl=url)
    assert str(caught.value) == f"{url}#main is {now} now, but {gone} in the lock"
    assert "bakery lock --update" in caught.value.hint


def test_a_name_that_was_changed_is_told_with_the_one_in_the_lock() -> None:
    pins = Pins({(PinKind.IMAGE, "shop/base:1"): "a", (PinKind.URL, "shop/base:2"): "b"}, strict=True)
    with pytest.raises(SourceError, match="shop/base:3 is not in the lock; the nearest there is shop/base:1"):
        pins.find(PinKind.IMAGE, "shop/base:3")
    with pytest.raises(SourceError, match="other is not in the lock$"):
        pins.find(PinKind.IMAGE, "other")

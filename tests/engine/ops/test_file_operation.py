"""File operations: what they leave in a layer, seen through the snapshot that has it on top."""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.cache.content.contents import Contents
from engine.cache.content.errors import MissingError
from engine.errors import DefinitionError, EngineError, StepError
from engine.llb.definition import Edge, Vertex
from engine.llb.ops import (
    ChownOpt,
    Copy,
    DiffInput,
    DiffOp,
    FileAction,
    FileOp,
    MergeInput,
    MergeOp,
    MkDir,
    MkFile,
    NamedUserOpt,
    PassthroughOp,
    Rm,
    Symlink,
    UserOpt,
)
from engine.ops.context import StepContext
from engine.ops.diff import DiffOperation
from engine.ops.file import FileOperation
from engine.ops.merge import MergeOperation
from engine.ops.passthrough import PassthroughOperation
from engine.results import LocalTree, Result, Snapshot
from engine.secret_values import SecretReader
from engine.snapshots.store import SnapshotStore
from engine.sources.folder import ChangedError, Folder
from engine.state import State
from engine.tree import Tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and device nodes need root")

EDGE = Edge("sha256:" + "0" * 64)  # type: ignore[arg-type]


class Kitchen:
    """A snapshot store, a folder to copy from, and short words for actions."""

    def __init__(self, root: Path) -> None:
        self.state = State.open(root / "state")
        self.store = SnapshotStore(self.state)
        self.folder = root / "context"
        self.folder.mkdir()
        self.said: list[bytes] = []

    def write(self, path: str, text: str = "", mode: int = 0o644) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def local(self, **filters: tuple[str, ...]) -> LocalTree:
        return LocalTree(self.folder, seen=Folder(self.folder), **filters)  # type: ignore[arg-type]

    def run(self, actions: Sequence[FileAction], *inputs: Result) -> list[Result | None]:
        vertex = Vertex.make(FileOp(tuple(actions)), [EDGE] * len(inputs))
        return list(trio.run(FileOperation(vertex).run, inputs, self.context(vertex)))

    def one(self, actions: Sequence[FileAction], *inputs: Result) -> Snapshot:
        (found,) = self.run(actions, *inputs)
        assert isinstance(found, Snapshot)
        return found

    def context(self, vertex: Vertex) -> StepContext:
        return StepContext(
            vertex=vertex,
            snapshots=self.store,
            mounts=None,  # type: ignore[arg-type]
            runtime=None,  # type: ignore[arg-type]
            log=lambda _stream, data: self.said.append(data),
            secrets={},
            reader=SecretReader(),
            agents={},
            allowed=frozenset(),
        )

    def copy(self, src: str, dest: str, base: Snapshot | None = None, **more: Any) -> Snapshot:
        return self.one([copying(src, dest, **more)], base or Snapshot(), self.local())

    def make(self, **files: str) -> Snapshot:
        """A snapshot with files in folders; `__` in a name stands for `/`."""
        actions = []
        for name, text in files.items():
            path = "/" + name.replace("__", "/")
            actions.append({"mkdir": MkDir(os.path.dirname(path), 0o755, make_parents=True, timestamp=10**18)})
            actions.append({"mkfile": MkFile(path, 0o644, text.encode(), timestamp=-1)})
        last = len(actions) - 1
        return self.one(
            [FileAction(i - 1, -1, 0 if i == last else -1, **each) for i, each in enumerate(actions)]  # type: ignore[arg-type]
        )

    def tree(self, snapshot: Snapshot) -> Tree:
        return self.store.tree(snapshot)

    def files(self, snapshot: Snapshot) -> list[str]:
        """All paths; folders end in a slash."""
        tree, out, rest = self.tree(snapshot), [], ["/"]
        while rest:
            folder = rest.pop(0)
            for name in tree.names(folder):
                path = folder.rstrip("/") + "/" + name
                entry = tree.lstat(path)
                assert entry is not None
                out.append(path + "/" * entry.is_dir)
                rest += [path] if entry.is_dir else []
        return sorted(out)

    def read(self, snapshot: Snapshot, path: str) -> str:
        with self.tree(snapshot).open(path) as file:
            return file.read().decode()

    def time(self, snapshot: Snapshot, path: str) -> int:
        entry = self.tree(snapshot).lstat(path)
        assert entry is not None
        return entry.mtime_ns

    def mode(self, snapshot: Snapshot, path: str) -> tuple[str, int, int]:
        entry = self.tree(snapshot).lstat(path)
        assert entry is not None
        return f"{stat.S_IMODE(entry.mode):04o}", entry.uid, entry.gid


def copying(src: str, dest: str, **more: Any) -> FileAction:
    fields: dict[str, Any] = {
        "mode": -1,
        "timestamp": -1,
        "follow_symlink": True,
        "dir_copy_contents": True,
        "create_dest_path": True,
        "allow_wildcard": True,
        "allow_empty_wildcard": True,
    }
    return FileAction(0, 1, 0, copy=Copy(src, dest, **{**fields, **more}))


def alone(**action: Any) -> list[FileAction]:
    return [FileAction(0, -1, 0, **action)]


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    made = Kitchen(tmp_path)
    yield made
    made.store.close()
    made.state.close()


def test_a_file_goes_to_a_name_and_into_a_folder(kitchen: Kitchen) -> None:
    kitchen.write("one.txt", "1")
    assert kitchen.files(kitchen.copy("/one.txt", "/a/b")) == ["/a/", "/a/b"]
    assert kitchen.files(kitchen.copy("/one.txt", "/a/b/")) == ["/a/", "/a/b/", "/a/b/one.txt"]
    assert kitchen.files(kitchen.copy("/one.txt", "/a", kitchen.make(a__x=""))) == ["/a/", "/a/one.txt", "/a/x"]


def test_of_a_folder_the_content_is_copied_or_the_folder_itself(kitchen: Kitchen) -> None:
    kitchen.write("d/f", "x")
    base = kitchen.make(there__x="")
    assert kitchen.files(kitchen.copy("/d", "/there", base)) == ["/there/", "/there/f", "/there/x"]
    whole = kitchen.copy("/d", "/there", base, dir_copy_contents=False)
    assert kitchen.files(whole) == ["/there/", "/there/d/", "/there/d/f", "/there/x"]


def test_modes_owners_times_and_attributes_are_kept(kitchen: Kitchen) -> None:
    file = kitchen.write("d/f", "x", 0o4751)
    os.setxattr(file, "user.x", b"1")
    os.setxattr(file, "user.overlay.opaque", b"y")
    os.utime(file, ns=(5, 1_500_000_000_123_456_789))
    found = kitchen.copy("/d", "/d")
    entry = kitchen.tree(found).lstat("/d/f")
    assert entry is not None
    assert (stat.S_IMODE(entry.mode), entry.uid, entry.mtime_ns) == (0o4751, 0, 1_500_000_000_123_456_789)
    assert kitchen.tree(found).xattrs("/d/f") == {"user.x": b"1"}
    layer = kitchen.store.layer_path(found.layers[-1])
    assert os.listxattr(layer / "d" / "f") == ["user.x"]  # the overlay's own marks cannot be smuggled in


def test_programs_keep_their_capabilities_from_stage_to_stage_but_not_from_a_folder_of_this_machine(
    kitchen: Kitchen,
) -> None:
    """As with BuildKit, which loses them on the way to its daemon."""
    bind_low_ports = bytes.fromhex("0100000200040000000000000000000000000000")
    file = kitchen.write("f", "x", 0o755)
    os.setxattr(file, "security.capability", bind_low_ports)
    os.setxattr(file, "user.x", b"1")
    found = kitchen.copy("/f", "/d/")
    assert kitchen.tree(found).xattrs("/d/f") == {"user.x": b"1"}
    made = kitchen.store.layer_path(found.layers[0]) / "d" / "f"
    os.setxattr(made, "security.capability", bind_low_ports)
    again = kitchen.one([copying("/d/f", "/e")], Snapshot(), found)
    assert kitchen.tree(again).xattrs("/e") == {"user.x": b"1", "security.capability": bind_low_ports}


def test_chmod_and_chown_hold_for_folders_on_the_way(kitchen: Kitchen) -> None:
    kitchen.write("f", "x")
    owner = ChownOpt(UserOpt(by_id=5), UserOpt(by_id=6))
    found = kitchen.copy("/f", "/a/b/f", mode=0o1711, owner=owner)
    assert kitchen.mode(found, "/a/b/f") == ("1711", 5, 6)
    assert kitchen.mode(found, "/a") == ("0711", 5, 6)  # special bits only on what is copied
    symbolic = kitchen.copy("/f", "/a/f", mode=0, mode_str="go=,u+x")
    assert kitchen.mode(symbolic, "/a/f") == ("0700", 0, 0)
    assert kitchen.mode(symbolic, "/a") == ("0755", 0, 0)


def test_named_owners_are_looked_up_and_unknown_ones_are_root(kitchen: Kitchen) -> None:
    kitchen.write("f")
    base = kitchen.make(etc__passwd="x:x:1:1::/:\napp:x:7:8:App:/:\n", etc__group="staff:x:50:\n")

    def owned(user: str, group: str | None) -> tuple[str, int, int]:
        by_group = UserOpt(by_name=NamedUserOpt(group, 0)) if group else None
        owner = ChownOpt(UserOpt(by_name=NamedUserOpt(user, 0)), by_group)
        return kitchen.mode(kitchen.copy("/f", "/f", base, owner=owner), "/f")

    assert owned("app", None) == ("0644", 7, 8)
    assert owned("app", "staff") == ("0644", 7, 50)
    assert owned("ghost", "phantoms") == ("0644", 0, 0)
    with pytest.raises(StepError, match="invalid user index: -1"):
        kitchen.copy("/f", "/f", owner=ChownOpt(UserOpt(by_name=NamedUserOpt("app", -1))))


def test_links_in_the_image_are_followed_inside_it_only(kitchen: Kitchen, tmp_path: Path) -> None:
    kitchen.write("f", "x")
    base = kitchen.one(alone(symlink=Symlink("../../../../../../.." + str(tmp_path), "/out", timestamp=-1)), Snapshot())
    found = kitchen.copy("/f", "/out/evil", base)
    assert not (tmp_path / "evil").exists()
    assert kitchen.read(found, f"{tmp_path}/evil") == "x"


def test_sources_never_lead_out_of_the_folder(kitchen: Kitchen, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (kitchen.folder / "up").symlink_to("../secret")
    with pytest.raises(MissingError):
        kitchen.copy("/up", "/x")
    with pytest.raises(MissingError):
        kitchen.copy("/../secret", "/x")
    assert kitchen.tree(kitchen.copy("/up", "/x", follow_symlink=False)).readlink("/x") == "../secret"


def test_filters_make_only_the_folders_that_are_needed(kitchen: Kitchen) -> None:
    for path in ("a/b/c.go", "a/b/d.txt", "e/f.txt", "g.go"):
        kitchen.write(path)
    go = kitchen.copy("/", "/x", include_patterns=("**/*.go",))
    assert kitchen.files(go) == ["/x/", "/x/a/", "/x/a/b/", "/x/a/b/c.go", "/x/g.go"]
    without = kitchen.copy("/", "/x", exclude_patterns=("**/*.go", "!a/b/c.go", "e"))
    assert kitchen.files(without) == ["/x/", "/x/a/", "/x/a/b/", "/x/a/b/c.go", "/x/a/b/d.txt"]


def test_an_unmatched_wildcard_is_told_or_refused(kitchen: Kitchen) -> None:
    kitchen.write("f")
    assert kitchen.files(kitchen.copy("/*.go", "/x/")) == []
    assert kitchen.said == [b"warning: nothing matches /*.go: nothing is copied\n"]
    with pytest.raises(MissingError):
        kitchen.copy("/*.go", "/x/", allow_empty_wildcard=False)


def test_hard_links_and_holes_stay(kitchen: Kitchen) -> None:
    first = kitchen.write("d/a", "x")
    os.link(first, kitchen.folder / "d" / "b")
    with open(kitchen.folder / "d" / "sparse", "wb") as file:
        file.truncate(50 << 20)
        file.seek(20 << 20)
        file.write(b"middle")
    layer = kitchen.store.layer_path(kitchen.copy("/d", "/d").layers[-1]) / "d"
    assert (layer / "a").stat().st_ino == (layer / "b").stat().st_ino
    copied = (layer / "sparse").stat()
    assert copied.st_size == 50 << 20
    assert copied.st_blocks * 512 < 1 << 20
    with open(layer / "sparse", "rb") as file:
        file.seek(20 << 20)
        assert file.read(6) == b"middle"


def test_special_files_are_copied_but_not_what_would_be_a_whiteout(kitchen: Kitchen) -> None:
    os.mkfifo(kitchen.folder / "pipe")
    os.mknod(kitchen.folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    found = kitchen.tree(kitchen.copy("/", "/x"))
    pipe, null = found.lstat("/x/pipe"), found.lstat("/x/null")
    assert pipe is not None
    assert null is not None
    assert stat.S_ISFIFO(pipe.mode)
    assert null.rdev == os.makedev(1, 3)
    os.mknod(kitchen.folder / "zero", stat.S_IFCHR, 0)
    with pytest.raises(StepError, match="stands for a removed file"):
        kitchen.copy("/zero", "/x")


def test_things_in_the_way(kitchen: Kitchen) -> None:
    kitchen.write("d/f")
    kitchen.write("f")
    base = kitchen.make(x="", y__f__z="")
    with pytest.raises(StepError, match="cannot copy to non-directory: /x"):
        kitchen.copy("/d", "/x", base)
    with pytest.raises(StepError, match="cannot replace to directory /y/f with file"):
        kitchen.copy("/f", "/y/", base)
    replaced = kitchen.copy("/f", "/y/", base, always_replace_existing_dest_paths=True)
    assert kitchen.files(replaced) == ["/x", "/y/", "/y/f"]


def test_a_layer_holds_only_what_changed_and_parents_keep_their_times(kitchen: Kitchen) -> None:
    kitchen.write("f")
    base = kitchen.make(usr__lib__x="")
    found = kitchen.copy("/f", "/usr/lib/f", base)
    layer = kitchen.store.layer_path(found.layers[-1])
    assert sorted(str(p.relative_to(layer)) for p in layer.rglob("*")) == ["usr", "usr/lib", "usr/lib/f"]
    assert kitchen.time(found, "/usr") == kitchen.time(base, "/usr")  # only in /usr/lib something was made
    assert kitchen.time(found, "/usr/lib") > kitchen.time(base, "/usr/lib")


def test_removed_paths_are_gone_and_can_come_back_empty(kitchen: Kitchen) -> None:
    base = kitchen.make(d__a="", d__b="", e="")
    gone = kitchen.one(alone(rm=Rm("/d")), base)
    assert kitchen.files(gone) == ["/e"]
    again = kitchen.one(
        [
            FileAction(0, -1, -1, rm=Rm("/d")),
            FileAction(1, -1, -1, mkdir=MkDir("/d", 0o700, timestamp=-1)),
            FileAction(2, -1, 0, mkfile=MkFile("/d/c", 0o600, b"c", timestamp=-1)),
        ],
        base,
    )
    assert kitchen.files(again) == ["/d/", "/d/c", "/e"]
    assert kitchen.files(kitchen.one(alone(rm=Rm("/d/*", allow_wildcard=True)), base)) == ["/d/", "/e"]
    assert kitchen.one(alone(rm=Rm("/nope", allow_not_found=True)), base)
    with pytest.raises(MissingError, match='"/nope": not found'):
        kitchen.one(alone(rm=Rm("/nope")), base)
    with pytest.raises(StepError, match="top folder"):
        kitchen.one(alone(rm=Rm("/..")), base)


def test_a_file_that_is_written_over_keeps_its_mode(kitchen: Kitchen) -> None:
    kitchen.write("f", "old", 0o751)
    base = kitchen.copy("/f", "/f", owner=ChownOpt(UserOpt(by_id=4)))
    found = kitchen.one(alone(mkfile=MkFile("/f", 0o600, b"new", timestamp=-1)), base)
    assert kitchen.read(found, "/f") == "new"
    assert kitchen.mode(found, "/f") == ("0751", 4, 4)


def test_folders_with_and_without_parents(kitchen: Kitchen) -> None:
    owner = ChownOpt(UserOpt(by_id=9))
    made = kitchen.one(alone(mkdir=MkDir("/a/b", 0o750, make_parents=True, owner=owner, timestamp=5)), Snapshot())
    assert kitchen.mode(made, "/a") == kitchen.mode(made, "/a/b") == ("0750", 9, 9)
    same = kitchen.one(alone(mkdir=MkDir("/a", 0o700, timestamp=-1)), made)
    assert kitchen.mode(same, "/a") == ("0750", 9, 9)
    with pytest.raises(MissingError):
        kitchen.one(alone(mkdir=MkDir("/x/y", 0o755, timestamp=-1)), Snapshot())


def test_add_unpacks_archives_and_copies_the_rest(kitchen: Kitchen, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    (inside / "usr" / "bin").mkdir(parents=True)
    (inside / "usr" / "bin" / "tool").write_text("t")
    with tarfile.open(kitchen.folder / "a.tar.gz", "w:gz") as archive:
        archive.add(inside / "usr" / "bin" / "tool", "usr/bin/tool")
    kitchen.write("plain.tar", "no archive")
    base = kitchen.make(usr__bin__x="")
    found = kitchen.copy("/*.tar*", "/", base, attempt_unpack=True)
    assert kitchen.files(found) == ["/plain.tar", "/usr/", "/usr/bin/", "/usr/bin/tool", "/usr/bin/x"]
    assert kitchen.time(found, "/usr") == kitchen.time(base, "/usr")


@pytest.mark.parametrize("form", ["gz", "bz2", "xz"])
def test_an_archive_that_breaks_off_is_an_error_and_not_a_file_to_copy(kitchen: Kitchen, form: str) -> None:
    whole = kitchen.folder / "whole"
    with tarfile.open(whole, f"w:{form}") as archive:  # type: ignore[call-overload]  # a literal there
        member = tarfile.TarInfo("big")
        member.size = 2_000_000
        archive.addfile(member, io.BytesIO(random.Random(1).randbytes(member.size)))
    data = whole.read_bytes()
    (kitchen.folder / "cut").write_bytes(data[: len(data) - 500_000])
    with pytest.raises(EngineError, match="broken|ends|cut"):
        kitchen.copy("/cut", "/", attempt_unpack=True)
    (kitchen.folder / "short").write_bytes(data[:20])
    assert kitchen.files(kitchen.copy("/short", "/", attempt_unpack=True)) == ["/short"]


def test_a_local_file_that_changed_since_its_checksum_is_an_error(kitchen: Kitchen) -> None:
    file = kitchen.write("f", "one")
    local = kitchen.local()
    action = copying("/f", "/f")
    selections = FileOperation(Vertex.make(FileOp((action,)), [EDGE, EDGE])).cache_map().dependencies[1].content
    assert selections
    Contents(kitchen.state).of_folder(local, selections)
    file.write_text("two")
    with pytest.raises(ChangedError, match="changed while the build was reading it"):
        kitchen.one([action], Snapshot(), local)
    assert list(kitchen.state.layers.iterdir()) == []


def test_outputs_and_what_others_need_get_layers_of_their_own(kitchen: Kitchen) -> None:
    first, second = kitchen.run(
        [
            FileAction(-1, -1, 0, mkfile=MkFile("/a", 0o644, b"a", timestamp=-1)),
            FileAction(-1, 0, 1, copy=Copy("/a", "/b", mode=-1, timestamp=-1)),
        ]
    )
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert kitchen.files(first) == ["/a"]
    assert kitchen.files(second) == ["/b"]


@pytest.mark.parametrize(
    "actions",
    [
        [FileAction(7, -1, 0, rm=Rm("/a"))],
        [FileAction(1, -1, -1, rm=Rm("/a")), FileAction(0, -1, 0, rm=Rm("/b"))],
        [FileAction(-1, -1, -1, rm=Rm("/a"))],
        [FileAction(-1, -1, 1, rm=Rm("/a"))],
    ],
)
def test_actions_that_make_no_sense_are_refused(kitchen: Kitchen, actions: list[FileAction]) -> None:
    with pytest.raises(DefinitionError):
        kitchen.run(actions)


def test_merge_lays_over_and_removals_count(kitchen: Kitchen) -> None:
    low = kitchen.make(a="", b="")
    changed = kitchen.one(alone(rm=Rm("/b")), low)
    diff = run_op(kitchen, DiffOp(DiffInput(0), DiffInput(1)), DiffOperation, low, changed)
    assert isinstance(diff, Snapshot)
    assert len(diff.layers) == 1
    other = kitchen.make(b="", c="")
    merge = MergeOp((MergeInput(0), MergeInput(1), MergeInput(2)))
    found = run_op(kitchen, merge, MergeOperation, other, Snapshot(), diff)
    assert isinstance(found, Snapshot)
    assert kitchen.files(found) == ["/c"]


def test_a_local_folder_can_be_merged(kitchen: Kitchen) -> None:
    kitchen.write("d/f")
    found = run_op(kitchen, MergeOp((MergeInput(0),)), MergeOperation, kitchen.local(exclude=("x",)))
    assert isinstance(found, Snapshot)
    assert kitchen.files(found) == ["/d/", "/d/f"]


def test_passthrough_hands_on(kitchen: Kitchen) -> None:
    one, two = kitchen.make(a=""), kitchen.make(b="")
    body = PassthroughOp("id", (1, 0))
    vertex = Vertex.make(body, [EDGE, EDGE])
    operation = PassthroughOperation(vertex)
    assert trio.run(operation.run, [one, two], kitchen.context(vertex)) == [two, one]
    with pytest.raises(DefinitionError, match="names input 2 of 1"):
        PassthroughOperation(Vertex.make(PassthroughOp("id", (2,)), [EDGE]))


def run_op(kitchen: Kitchen, body: Any, kind: Any, *inputs: Result) -> Result | None:
    vertex = Vertex.make(body, [EDGE] * len(inputs))
    (found,) = trio.run(kind(vertex).run, inputs, kitchen.context(vertex))
    return found  # type: ignore[no-any-return]


def test_errors_carry_the_step(kitchen: Kitchen) -> None:
    with pytest.raises(EngineError) as caught:
        kitchen.copy("/nope", "/x")
    assert caught.value.vertex

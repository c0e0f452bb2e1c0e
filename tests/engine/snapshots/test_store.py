"""The snapshot store: what is written into a layer comes back, mounted or read, and the machine notices nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trio

from engine.errors import StateError
from engine.results import LayerID, Snapshot
from engine.snapshots.store import Progress, SnapshotStore
from engine.state import State

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")]


@pytest.fixture(params=["overlay", "copying"])
def store(state: State, request: pytest.FixtureRequest) -> Iterator[SnapshotStore]:
    store = SnapshotStore(state)
    if request.param == "copying":
        store.overlay = False
    yield store
    store.close()
    assert not list(state.work.iterdir())


def change(store: SnapshotStore, base: Snapshot, *commands: str) -> Snapshot:
    """Runs shell commands in a mounted snapshot and keeps what they did."""
    with store.new_layer(base) as layer:
        with store.mounted(base, layer) as root:
            for command in commands:
                assert os.spawnlp(os.P_WAIT, "sh", "sh", "-ec", f"cd '{root}'; {command}") == 0, command
        return layer.commit("test")


def listing(store: SnapshotStore, snapshot: Snapshot) -> dict[str, str]:
    """All paths with their content, as the tree shows them."""
    tree, found, rest = store.tree(snapshot), {}, ["/"]
    while rest:
        folder = rest.pop()
        for name in tree.names(folder):
            path = f"{folder.rstrip('/')}/{name}"
            entry = tree.lstat(path)
            assert entry is not None
            if entry.is_dir:
                found[path] = "folder"
                rest.append(path)
            elif entry.is_link:
                found[path] = f"-> {tree.readlink(path)}"
            else:
                found[path] = tree.open(path).read().decode() if entry.is_file else "special"
    return found


def mounted_listing(store: SnapshotStore, snapshot: Snapshot) -> set[str]:
    with store.mounted(snapshot) as root:
        return {
            "/" + os.path.relpath(os.path.join(parent, name), root)
            for parent, folders, files in os.walk(root)
            for name in folders + files
        }


def test_what_a_layer_adds_is_seen_over_its_base(store: SnapshotStore) -> None:
    one = change(store, Snapshot(), "mkdir etc; echo base > etc/a; echo base > etc/b")
    two = change(store, one, "echo new > etc/b; echo c > etc/c")
    assert two.layers[:-1] == one.layers
    assert listing(store, two) == {"/etc": "folder", "/etc/a": "base\n", "/etc/b": "new\n", "/etc/c": "c\n"}
    assert listing(store, one) == {"/etc": "folder", "/etc/a": "base\n", "/etc/b": "base\n"}


def test_the_tree_and_the_mount_agree_after_deletions_and_replacements(store: SnapshotStore) -> None:
    snapshot = change(store, Snapshot(), "mkdir -p a/b/c d; echo 1 > a/b/c/f; echo 2 > a/g; ln -s g a/l; echo 3 > d/h")
    for command in (
        "rm -r a/b",
        "rm -r d; mkdir d; echo new > d/other",
        "rm -r a; echo now-a-file > a",
        "rm a; mkdir a; echo > a/again",
        "mv d e; chmod 700 e; mkfifo fifo",
        "rm -r a e; mkdir -p a/b",
    ):
        snapshot = change(store, snapshot, command)
        assert set(listing(store, snapshot)) == mounted_listing(store, snapshot), command
    assert listing(store, snapshot) == {"/a": "folder", "/a/b": "folder", "/fifo": "special"}


def test_a_layer_that_is_not_committed_leaves_nothing(store: SnapshotStore, state: State) -> None:
    def fail() -> None:
        with store.new_layer(Snapshot()) as layer, store.mounted(Snapshot(), layer) as root:
            (root / "file").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(state.layers.iterdir())
    assert not state.query("SELECT id FROM layers")


def test_a_committed_layer_is_recorded_with_its_size(store: SnapshotStore, state: State) -> None:
    snapshot = change(store, Snapshot(), "head -c 100000 /dev/urandom > file")
    ((layer, unpacked, size, description),) = state.query("SELECT id, unpacked, size, description FROM layers")
    assert (layer, unpacked, description) == (snapshot.layers[0], 1, "test")
    assert 100000 <= size < 130000
    assert trio.run(store.size, snapshot) == size


def test_mounts_are_invisible_to_the_host(store: SnapshotStore) -> None:
    snapshot = change(store, Snapshot(), "touch file")
    with store.mounted(snapshot) as root:
        assert os.listdir(root) == ["file"]
        assert str(root) not in Path("/proc/1/mounts").read_text()


def test_hundreds_of_layers_can_be_mounted(state: State) -> None:
    store = SnapshotStore(state)
    snapshot = Snapshot()
    for number in range(320):
        with store.new_layer(snapshot) as layer:
            (layer.path / f"file{number}").touch()
            snapshot = layer.commit("test")
    with store.mounted(snapshot) as root:
        assert len(os.listdir(root)) == 320
    assert len(store.tree(snapshot).names("/")) == 320
    store.close()


def test_the_top_folder_keeps_its_mode_and_owner(store: SnapshotStore) -> None:
    snapshot = change(store, change(store, Snapshot(), "chmod 750 .; chown 5:6 ."), "touch file")
    entry = store.tree(snapshot).lstat("/")
    assert entry is not None
    assert (stat.S_IMODE(entry.mode), entry.uid, entry.gid) == (0o750, 5, 6)


def test_a_link_in_a_layer_never_leads_out_of_it(store: SnapshotStore) -> None:
    snapshot = change(store, Snapshot(), "ln -s /etc out; mkdir real; echo inside > real/passwd")
    tree = store.tree(snapshot)
    assert tree.lstat("/out/passwd") is None
    for read in (tree.open, tree.names, tree.readlink, tree.xattrs):
        with pytest.raises(OSError, match="out"):
            read("/out/passwd")
    with pytest.raises(NotADirectoryError):
        tree.names("/out")
    with pytest.raises(OSError, match="out"):
        tree.open("/out")
    # The same name is a folder in one layer and a link in another: only the folder may be looked into.
    over = change(store, snapshot, "rm out; mkdir out; echo mine > out/mine")
    assert store.tree(over).names("/out") == ["mine"]


def test_a_whiteout_in_attribute_form_hides_too(store: SnapshotStore) -> None:
    base = change(store, Snapshot(), "mkdir d; echo > d/gone; echo > d/kept")
    with store.new_layer(base) as layer:
        (layer.path / "d").mkdir()
        os.setxattr(layer.path / "d", "trusted.overlay.opaque", b"x")
        (layer.path / "d" / "gone").touch()
        os.setxattr(layer.path / "d" / "gone", "trusted.overlay.whiteout", b"")
        snapshot = layer.commit("test")
    assert store.tree(snapshot).names("/d") == ["kept"]
    assert store.tree(snapshot).lstat("/d/gone") is None
    assert store.tree(snapshot).xattrs("/d") == {}


def test_hard_links_are_recognised(store: SnapshotStore) -> None:
    tree = store.tree(change(store, Snapshot(), "echo > a; ln a b; echo > c"))
    a, b, c = (tree.lstat(f"/{name}") for name in "abc")
    assert a is not None
    assert b is not None
    assert c is not None
    assert (a.identity == b.identity, a.identity == c.identity, a.links) == (True, False, 2)


def test_the_difference_to_an_ancestor_is_the_layers_between(store: SnapshotStore) -> None:
    one = change(store, Snapshot(), "touch a")
    two = change(store, one, "touch b")
    assert store.diff(one, two).layers == two.layers[1:]
    assert store.diff(two, two) == Snapshot()
    assert store.diff(Snapshot(), two) == two


def test_the_difference_of_strangers_turns_one_into_the_other(store: SnapshotStore) -> None:
    lower = change(
        store,
        Snapshot(),
        "mkdir -p d/deep gone; echo 1 > d/same; echo 2 > d/changed; echo > gone/x; touch -d @1 d/same",
    )
    upper = change(
        store,
        Snapshot(),
        "mkdir -p d/deep; echo 1 > d/same; echo 3 > d/changed; echo > d/deep/new; ln -s x gone; touch -d @1 d/same",
    )
    difference = store.diff(lower, upper)
    assert listing(store, Snapshot((*lower.layers, *difference.layers))) == listing(store, upper)
    assert "/d/same" not in listing(store, difference)


def test_layers_that_are_not_here_are_fetched_once(state: State) -> None:
    store, asked = SnapshotStore(state), []
    layer = LayerID("image-layer")
    state.write("INSERT INTO layers (id, unpacked, size, created, used) VALUES (?, 0, 0, 0, 0)", layer)

    class Fetcher:
        async def fetch(self, layers: Sequence[LayerID], progress: Progress) -> None:
            asked.append(list(layers))
            await trio.lowlevel.checkpoint()
            for name in layers:
                with store.new_layer(Snapshot()) as new:
                    (new.path / "file").touch()
                    new.commit("pulled", layer=name)

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(store.ensure, Snapshot((layer,)), lambda *_: None)

    store.register_fetcher(Fetcher())
    trio.run(both)
    assert asked == [[layer]]
    assert store.tree(Snapshot((layer,))).names("/") == ["file"]
    assert state.query("SELECT unpacked FROM layers") == [(1,)]


def test_a_layer_that_nobody_can_fetch_is_an_error(store: SnapshotStore) -> None:
    with pytest.raises(StateError, match="layer nowhere is not here"):
        trio.run(store.ensure, Snapshot((LayerID("nowhere"),)), lambda *_: None)


def test_a_removed_layer_is_gone(store: SnapshotStore, state: State) -> None:
    (layer,) = change(store, Snapshot(), "touch a").layers
    store.remove(layer)
    assert not list(state.layers.iterdir())
    assert not state.query("SELECT id FROM layers")


def test_work_of_a_killed_process_is_swept_away(state: State) -> None:
    child = os.fork()
    if child == 0:
        with SnapshotStore(state).new_layer(Snapshot()) as layer:
            (layer.path / "half").touch()
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert len(list(state.work.iterdir())) == 1
    store = SnapshotStore(state)
    with store.new_layer(Snapshot()):
        assert len(list(state.work.iterdir())) == 1
        # A living owner is left alone, whoever sweeps.
        assert SnapshotStore(state).work.sweep() == 0
    store.close()
    assert not list(state.work.iterdir())

"""The state folder: opened by many at once, of any age, damaged in any way; what can be saved is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from engine.blobs import BlobStore
from engine.cache.records import Record, RecordStore
from engine.cache.usage import read_usage
from engine.errors import DamagedState, StateError
from engine.results import LayerID, Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import VERSION, State

MANY = 3000


def fill(root: Path) -> Snapshot:
    """A folder with a blob, a layer and many records, most of which need no layer."""
    state = State.open(root)
    BlobStore(state).put(b"blob")
    snapshots = SnapshotStore(state)
    with snapshots.new_layer(Snapshot()) as layer:
        (layer.path / "file").write_text("content")
        snapshot = layer.commit("test")
    records = RecordStore(state)
    with state.transaction():
        for number in range(MANY):
            records.save([f"{number:064}"], Record((None,), f"{number:032}"), vertex="v" * 71, name=f"step {number}")
    records.save(["real"], Record((snapshot,), "real"), vertex="v", name="step")
    snapshots.close()
    state.close()
    return snapshot


def known(root: Path) -> int:
    state = State.open(root)
    try:
        return len(RecordStore(state).find([*(f"{number:064}" for number in range(MANY)), "real"]))
    finally:
        state.close()


def damage(root: Path, *, at: float) -> None:
    """Overwrites a stretch of the database."""
    path = root / "state.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * at) // 4096 * 4096)
        file.write(b"\xff" * min(20480, size))


def test_a_new_folder_can_be_opened_by_many_processes_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from engine.state import State; State.open(Path(sys.argv[1])).close()"
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "root")]) for _ in range(8)]
    assert [process.wait() for process in started] == [0] * 8


def test_a_folder_of_a_newer_bakery_is_refused_and_one_of_an_older_is_named(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    for version, hint in (("99", "use the newer bakery"), ("0", "remove")):
        (tmp_path / "version").write_text(version)
        with pytest.raises(StateError, match=f"has format {version}") as caught:
            State.open(tmp_path)
        assert hint in caught.value.hint


def test_a_folder_whose_maker_was_killed_before_it_wrote_the_version_is_taken(tmp_path: Path) -> None:
    (tmp_path / "version").touch()
    State.open(tmp_path).close()
    assert (tmp_path / "version").read_text() == f"{VERSION}\n"


def test_a_database_of_before_there_was_a_table_gets_it(tmp_path: Path) -> None:
    fill(tmp_path)
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute("DROP TABLE results")
    database.execute("PRAGMA user_version = 1")
    database.close()
    state = State.open(tmp_path)
    assert state.query("SELECT * FROM results") == []
    state.close()
    assert known(tmp_path) == MANY + 1


def test_a_folder_of_format_1_is_taken_over_with_its_layers(tmp_path: Path) -> None:
    State.open(tmp_path).close()
    database = sqlite3.connect(tmp_path / "state.db")
    database.execute("ALTER TABLE layers DROP COLUMN below")
    database.execute("PRAGMA user_version = 1")
    database.execute("INSERT INTO layers (id, unpacked, size, created, used) VALUES ('old', 1, 0, 0, 0)")
    database.commit()
    database.close()
    (tmp_path / "version").write_text("1\n")
    (tmp_path / "layers" / "old" / "fs").mkdir(parents=True)
    (tmp_path / "layers" / "old" / "below").write_text("a b")
    state = State.open(tmp_path)
    store = SnapshotStore(state)
    below = Snapshot((LayerID("a"), LayerID("b")))
    assert store.below(LayerID("old")) == below
    with store.new_layer(Snapshot()) as layer:
        layer.below = below
        new = layer.commit("new").layers[-1]
    assert store.below(new) == below
    assert {record.id: record.parents for record in read_usage(state)} == {"old": ("b",), new: ("b",)}
    assert os.listdir(store.layer_path(new).parent) == ["fs"]
    store.close()
    state.close()
    assert (tmp_path / "version").read_text() == f"{VERSION}\n", (
        "an older bakery would not see what is below new layers"
    )


def test_a_folder_that_cannot_be_made_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot use the state folder") as caught:
        State.open(tmp_path / "file" / "root")
    assert "BAKERY_ROOT" in caught.value.hint


def as_it_was_made_before(root: Path) -> None:
    """A folder whose records have no row ids."""
    State.open(root).close()
    database = sqlite3.connect(root / "state.db")
    (sql,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'records'").fetchone()
    database.execute("DROP TABLE records")
    database.execute(f"{sql} WITHOUT ROWID")
    database.execute("CREATE INDEX records_by_identity ON records (identity)")
    database.close()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_of_a_damaged_database_only_what_was_on_the_damaged_pages_is_lost(
    tmp_path: Path, at: float, *, old: bool
) -> None:
    if old:
        as_it_was_made_before(tmp_path)
    fill(tmp_path)
    damage(tmp_path, at=at)
    with suppress(DamagedState):
        known(tmp_path)
    (tmp_path / "damaged").touch()  # where the reading did not meet the damage
    state = State.open(tmp_path)
    assert any("was damaged" in sentence for sentence in state.found)
    assert state.query("PRAGMA integrity_check") == [("ok",)]
    state.close()
    assert not (tmp_path / "damaged").exists()
    # Ten lost pages hold a few dozen records, and inner pages point to some hundred more.
    assert known(tmp_path) > MANY * 0.5
    assert BlobStore(State.open(tmp_path)).has("sha256:" + next(iter(os.listdir(tmp_path / "blobs" / "sha256"))))  # type: ignore[arg-type]


def test_who_meets_the_damage_is_told_to_build_again_and_the_next_one_mends_it(tmp_path: Path) -> None:
    fill(tmp_path)
    damage(tmp_path, at=0.2)
    state = State.open(tmp_path)
    with pytest.raises(DamagedState, match="is damaged") as caught:
        state.query("SELECT SUM(LENGTH(name)) FROM records")
    assert "run the build again" in caught.value.hint
    state.close()
    assert (tmp_path / "damaged").exists()
    state = State.open(tmp_path)
    assert state.found
    state.close()


def test_what_is_no_database_at_all_is_replaced_and_the_blobs_are_found_again(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "state.db").write_bytes(os.urandom(100_000))
    state = State.open(tmp_path)
    assert "rows were lost of: all tables" in " ".join(state.found)
    (name,) = os.listdir(tmp_path / "blobs" / "sha256")
    assert state.query("SELECT digest FROM blobs") == [(f"sha256:{name}",)]
    assert os.listdir(tmp_path / "layers") == [], "a layer that no record names is rubbish"
    state.close()


@pytest.mark.parametrize("size", [0, 100, 4096, 40960])
def test_a_truncated_database_is_mended(tmp_path: Path, size: int) -> None:
    fill(tmp_path)
    os.truncate(tmp_path / "state.db", size)
    for _ in range(2):  # the damage may be met while reading only: the next one mends it
        try:
            state = State.open(tmp_path)
            records = RecordStore(state)
            records.save(["new"], Record((None,), "new"), vertex="v", name="n")
            assert "new" in records.find(["new", *(f"{number:064}" for number in range(MANY))])
            break
        except DamagedState:
            continue
    assert state.query("PRAGMA integrity_check") == [("ok",)]
    state.close()


def test_a_mending_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "damaged").touch()
    (tmp_path / "state.db.new").write_bytes(b"half")
    assert known(tmp_path) == MANY + 1
    assert not (tmp_path / "state.db.new").exists()


def test_nothing_is_mended_while_others_use_the_folder(tmp_path: Path) -> None:
    other = State.open(tmp_path)
    (tmp_path / "damaged").touch()
    with pytest.raises(StateError, match="others are using it"):
        State.open(tmp_path)
    other.close()
    State.open(tmp_path).close()


def test_a_layer_that_somebody_deleted_is_made_again_instead_of_missed(tmp_path: Path) -> None:
    snapshot = fill(tmp_path)
    shutil.rmtree(tmp_path / "layers" / snapshot.layers[0])
    state = State.open(tmp_path)
    assert RecordStore(state).find(["real", "0" * 64]).keys() == {"0" * 64}
    assert "1 layers of earlier builds were gone" in state.found[0]
    state.close()


def test_a_layer_that_can_be_fetched_again_needs_no_files(tmp_path: Path) -> None:
    state = State.open(tmp_path)
    layer = LayerID("a" * 64)
    state.write("INSERT INTO layers (id, unpacked, diff_id, size, created, used) VALUES (?, 1, 'd', 5, 0, 0)", layer)
    RecordStore(state).save(["k"], Record((Snapshot((layer,)),), "i"), vertex="v", name="n")
    assert "k" in RecordStore(state).find(["k"])
    state.close()


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path) -> None:
    state = State.open(tmp_path)
    pages = state.query("PRAGMA page_count")[0][0]
    state.query(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match="is full") as caught:
        state.write("INSERT INTO contents VALUES ('s', 't', ?)", "x" * 100_000)
    assert "bakery prune" in caught.value.hint
    state.close()

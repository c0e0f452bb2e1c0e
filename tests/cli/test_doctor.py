"""bakery doctor: finds whatever is wrong in a state folder, changes nothing unless asked, and puts it right."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bakery.cli.app import cli
from engine.blobs import BlobStore
from engine.cache.records import Record, RecordStore
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound folder with a layer, its record, a blob and a cache mount."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path / "root"))
    state = State.open(tmp_path / "root")
    snapshots = SnapshotStore(state)
    with snapshots.new_layer(Snapshot()) as layer:
        (layer.path / "file").write_text("x")
        snapshot = layer.commit("test")
    RecordStore(state).save(["key"], Record((snapshot,), "identity"), vertex="v", name="n")
    BlobStore(state).put(b"content")
    (state.mounts / "abc-0" / "fs").mkdir(parents=True)
    state.write("INSERT INTO cache_mounts VALUES ('abc-0', '/npm', 0, 0, 1)")
    snapshots.close()
    state.close()
    return tmp_path / "root"


def doctor(*args: str) -> tuple[int, dict[str, list[str]]]:
    """The exit code, and what was said by state."""
    result = CliRunner().invoke(cli, ["doctor", "--format", "json", *args], standalone_mode=False)
    if result.exception:
        raise result.exception
    found: dict[str, list[str]] = {}
    for check in json.loads(result.output):
        found.setdefault(check["state"], []).append(f"{check['name']}: {check['text']}")
    return result.return_value, found


def only(folder: Path) -> Path:
    (entry,) = folder.iterdir()
    return entry


def delete_layer(root: Path) -> None:
    shutil.rmtree(only(root / "layers"))


def empty_layer(root: Path) -> None:
    shutil.rmtree(only(root / "layers") / "fs")


def layer_file(root: Path) -> Path:
    return only(root / "layers") / "fs" / "file"


def delete_file_of_layer(root: Path) -> None:
    layer_file(root).unlink()


def edit_file_of_layer(root: Path) -> None:
    layer_file(root).write_text("y")


def add_file_to_layer(root: Path) -> None:
    (layer_file(root).parent / "new").symlink_to("file")


def change_mode_in_layer(root: Path) -> None:
    layer_file(root).chmod(0o777)


def rot(root: Path) -> None:
    """Another byte, as a disk may have it one day: nothing else tells of it."""
    before = layer_file(root).stat()
    layer_file(root).write_text("y")
    os.utime(layer_file(root), ns=(before.st_atime_ns, before.st_mtime_ns))


def add_layer(root: Path) -> None:
    (root / "layers" / "0123456789abcdef" / "fs").mkdir(parents=True)


def delete_blob(root: Path) -> None:
    only(root / "blobs" / "sha256").unlink()


def truncate_blob(root: Path) -> None:
    os.chmod(only(root / "blobs" / "sha256"), 0o600)
    os.truncate(only(root / "blobs" / "sha256"), 3)


def change_blob(root: Path) -> None:
    only(root / "blobs" / "sha256").write_bytes(b"CONTENT")


def add_blob(root: Path) -> None:
    (root / "blobs" / "sha256" / ("a" * 64)).write_bytes(b"x")


def forget_layer(root: Path) -> None:
    state = State.open(root)
    state.write("DELETE FROM layers")
    state.close()


def delete_mount(root: Path) -> None:
    shutil.rmtree(root / "mounts" / "abc-0")


def add_mount(root: Path) -> None:
    (root / "mounts" / "def-0" / "fs").mkdir(parents=True)


def break_database(root: Path) -> None:
    (root / "state.db").write_bytes(os.urandom(50_000))


def delete_database(root: Path) -> None:
    (root / "state.db").unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (delete_layer, "layers: 1 layers are recorded, but not there"),
        (empty_layer, "layers: 1 layers have no content"),
        (delete_file_of_layer, "layer contents: files of 1 layers are not as they were"),
        (edit_file_of_layer, "layer contents: files of 1 layers are not as they were"),
        (add_file_to_layer, "layer contents: files of 1 layers are not as they were"),
        (change_mode_in_layer, "layer contents: files of 1 layers are not as they were"),
        (add_layer, "layers: 1 layers are there, but not recorded"),
        (delete_blob, "blobs: 1 blobs are recorded, but not there"),
        (truncate_blob, "blobs: 1 blobs are not what their names say"),
        (change_blob, "blobs: 1 blobs are not what their names say"),
        (add_blob, "blobs: 1 blobs are there, but not recorded"),
        (forget_layer, "records: 1 results name layers that are not known"),
        (delete_mount, "cache mounts: 1 cache mounts are recorded, but not there"),
        (add_mount, "cache mounts: 1 cache mounts are there, but not recorded"),
        (break_database, "database: the database is damaged: file is not a database"),
        (delete_database, "database: the database is gone"),
    ],
)
def test_what_is_wrong_is_found_and_put_right(root: Path, harm: object, said: str) -> None:
    assert doctor()[0] == 0
    assert callable(harm)
    harm(root)
    before = sorted(
        path for path in root.rglob("*") if not path.name.startswith("state.db") and "work" not in str(path)
    )
    code, found = doctor()
    assert code == 1
    assert said in found["problem"]
    after = sorted(path for path in root.rglob("*") if not path.name.startswith("state.db") and "work" not in str(path))
    assert after == before, "looking changes nothing"
    code, found = doctor("--fix")
    assert code == 0
    assert found["fixed"]
    code, found = doctor()
    assert code == 0
    assert "fixed" not in found


def test_quick_reads_no_blobs(root: Path) -> None:
    change_blob(root)
    assert doctor("--quick")[0] == 0
    assert doctor()[0] == 1


def test_quick_looks_at_no_files_of_layers(root: Path) -> None:
    edit_file_of_layer(root)
    assert doctor("--quick")[0] == 0
    assert doctor()[0] == 1


def test_deep_finds_what_only_reading_shows_from_the_second_time_on(root: Path) -> None:
    code, found = doctor("--deep")
    assert code == 0
    first = "layers read: 1 of 1 were read for the first time: what their files held before is not known"
    assert first in found["warning"]
    assert "warning" not in doctor("--deep")[1]
    rot(root)
    assert doctor()[0] == 0
    code, found = doctor("--deep")
    assert code == 1
    assert "layer contents: files of 1 layers are not as they were" in found["problem"]
    assert doctor("--deep", "--fix")[0] == 0
    assert not list((root / "layers").iterdir())


def test_a_layer_in_use_is_not_taken_away(root: Path) -> None:
    edit_file_of_layer(root)
    state = State.open(root)
    with state.lease.taking():
        state.lease.hold([only(root / "layers").name])
    code, found = doctor("--fix")
    assert code == 1
    assert any("is in use" in text for text in found["problem"])
    state.close()
    assert doctor("--fix")[0] == 0


def test_a_folder_that_is_not_there_is_no_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = doctor("--root", str(root / "other"))
    assert code == 0
    assert any("is not made yet" in text for text in found["ok"])


def test_another_format_is_told_and_left_alone(root: Path) -> None:
    (root / "version").write_text("99\n")
    for flags in ((), ("--fix",)):
        code, found = doctor(*flags)
        assert code == 1
        assert "format 99" in found["problem"][0]
    assert (root / "version").read_text() == "99\n"


def test_what_killed_processes_left_is_a_warning(root: Path) -> None:
    (root / "work" / "1-dead").mkdir()
    (root / "work" / "1-dead" / "lock").touch()
    (root / "work" / "blob-1-dead").touch()
    code, found = doctor()
    assert code == 0
    assert found["warning"] == ["leftovers: 2 processes have left unfinished work behind"]
    doctor("--fix")
    assert [name for name in os.listdir(root / "work") if "dead" in name] == []

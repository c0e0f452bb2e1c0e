"""bakery du, prune and cache: the peer's columns, blocks and JSON, and what is gone afterwards."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import time
from pathlib import Path

import pytest
from click import BadParameter
from click.testing import CliRunner, Result

from bakery.cli.app import cli
from bakery.cli.usage_view import ago
from bakery.diagnostics import BakeryError
from engine.blobs import BlobStore
from engine.cache.records import Record, RecordStore
from engine.errors import EngineError
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with two layers, the second on the first, a cache mount and a manifest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("BAKERY_ROOT", str(tmp_path / "root"))
    state = State.open(tmp_path / "root")
    snapshots = SnapshotStore(state)
    snapshot = Snapshot()
    for name, size in (("base", 100_000), ("top", 200_000)):
        with snapshots.new_layer(snapshot) as layer:
            (layer.path / name).write_bytes(b"x" * size)
            snapshot = layer.commit(name)
        RecordStore(state).save([name], Record((snapshot,), name), vertex="v", name=f"RUN make {name}")
    BlobStore(state).put(b"{}")
    (state.mounts / "abc-0" / "fs").mkdir(parents=True)
    (state.mounts / "abc-0" / "fs" / "file").write_bytes(b"x" * 50_000)
    state.write("INSERT INTO cache_mounts VALUES ('abc-0', '//root/.npm', 0, ?, 3)", time.time() - 7200)
    snapshots.close()
    state.close()
    return tmp_path / "root"


def run(*args: str, typed: str = "") -> Result:
    """Raises what the command raises."""
    result = CliRunner().invoke(cli, args, input=typed, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def test_du_is_a_table_with_sums(root: Path) -> None:
    lines = run("du").output.splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"]
    rows = [re.split(r"\s{2,}", line) for line in lines[1:5]]
    assert [row[1] for row in rows] == ["true"] * 4
    assert rows[1][0] == "abc-0*"
    assert rows[1][3] == "2 hours ago"
    assert [line.partition(":")[0] for line in lines[5:]] == ["Reclaimable", "Total"]


def test_du_verbose_is_a_block_for_each(root: Path) -> None:
    blocks = run("du", "--verbose").output.split("\n\n")
    mount = dict(re.split(r":\s+", line, maxsplit=1) for line in blocks[1].splitlines())
    assert mount.pop("Size").endswith("kB")
    assert mount.pop("Last used") == "2 hours ago"
    assert mount == {
        "ID": "abc-0",
        "Created at": "1970-01-01T00:00:00Z",
        "Mutable": "true",
        "Reclaimable": "true",
        "Shared": "false",
        "Description": 'cache mount "//root/.npm"',
        "Usage count": "3",
        "Type": "exec.cachemount",
    }


def test_du_json_has_buildkits_keys(root: Path) -> None:
    records = json.loads(run("du", "--format", "json").output)
    assert list(records[0]) == [
        "id",
        "mutable",
        "inUse",
        "size",
        "createdAt",
        "lastUsedAt",
        "usageCount",
        "parents",
        "description",
        "recordType",
        "shared",
    ]
    top = records[-1]
    assert (top["description"], top["recordType"]) == ("RUN make top", "regular")
    assert top["size"] >= 200_000
    assert top["parents"] == [records[-2]["id"]]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["type=exec.cachemount"], 1),
        (["type==regular", "description~=make"], 2),
        (["mutable"], 1),
        (["until=1h"], 1),
        (["unused-for=3h"], 0),
        (["id=abc"], 1),
        (["type!=internal"], 3),
    ],
)
def test_filters_all_hold(root: Path, filters: list[str], found: int) -> None:
    flags = [part for text in filters for part in ("--filter", text)]
    assert len(json.loads(run("du", "--format", "json", *flags).output)) == found
    assert "Total" not in run("du", *flags).output


@pytest.mark.parametrize("text", ["colour=red", "type=regulars", "until=soon", "id~=("])
def test_a_filter_that_is_none_is_wrong_usage(root: Path, text: str) -> None:
    with pytest.raises(BadParameter):
        run("du", "--filter", text)


def test_prune_takes_all_but_internal_records_and_says_what(root: Path) -> None:
    lines = run("prune", "--force").output.splitlines()
    assert len(lines) == 5
    assert lines[-1].startswith("Total:")
    assert [r["recordType"] for r in json.loads(run("du", "--format", "json").output)] == ["internal"]
    assert os.listdir(root / "layers") == []
    run("prune", "--all", "-f")
    assert json.loads(run("du", "--format", "json").output) == []


@pytest.mark.parametrize(("typed", "left"), [("n\n", 4), ("\n", 4), ("no idea\n", 4), ("y\n", 1), ("YES\n", 1)])
def test_prune_asks_and_only_a_yes_is_one(root: Path, typed: str, left: int) -> None:
    run("prune", typed=typed)
    assert len(json.loads(run("du", "--format", "json").output)) == left


def test_prune_removes_nothing_where_nobody_answers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stdin in (io.StringIO(), None):  # empty, as in a CI job; closed
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(BakeryError) as caught:
            cli.main(["prune"], standalone_mode=False)
        assert caught.value.exit_code == 1
        assert "--force" in caught.value.diagnostics[0].hint
    assert len(json.loads(run("du", "--format", "json").output)) == 4


def test_prune_down_to_a_size(root: Path) -> None:
    run("prune", "-f", "--filter", "type=regular", "--max-used-space", "200k")
    left = json.loads(run("du", "--format", "json", "--filter", "type=regular").output)
    assert [record["description"] for record in left] == ["RUN make base"]


def test_prune_keeps_what_was_used_lately(root: Path) -> None:
    result = json.loads(run("prune", "-f", "--keep-duration", "1h", "--format", "json").output)
    assert [record["id"] for record in result["removed"]] == ["abc-0"]
    assert result["total"] == result["removed"][0]["size"]


def test_cache_ls_seed_and_rm(root: Path, tmp_path: Path) -> None:
    (tmp_path / "warm").mkdir()
    (tmp_path / "warm" / "package").write_text("1.0")
    assert "has" in run("cache", "seed", "pip", str(tmp_path / "warm")).output
    with pytest.raises(EngineError, match="already"):
        run("cache", "seed", "pip", str(tmp_path / "warm"))
    found = json.loads(run("cache", "ls", "--format", "json").output)
    assert [mount["id"] for mount in found] == ["/root/.npm", "pip"]
    (content,) = [root / "mounts" / mount["mount"] / "fs" for mount in found if mount["id"] == "pip"]
    assert (content / "package").read_text() == "1.0"
    run("cache", "rm", "/root/.npm")
    assert re.split(r"\s{2,}", run("cache", "ls").output.splitlines()[1])[0] == "pip"
    assert not (root / "mounts" / "abc-0").exists()


def test_a_cache_is_filled_from_an_archive_in_place_of_the_old_content(root: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "warm.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("inner/file")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    run("cache", "seed", "pip", str(tmp_path / "warm.tar.gz"))
    run("cache", "seed", "pip", str(tmp_path / "warm.tar.gz"), "--replace")
    (mount,) = [m for m in json.loads(run("cache", "ls", "--format", "json").output) if m["id"] == "pip"]
    assert (root / "mounts" / mount["mount"] / "fs" / "inner" / "file").read_bytes() == b"abc"
    (tmp_path / "no.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(EngineError, match="cannot fill the cache from .*/no.tar: not a tar archive"):
        run("cache", "seed", "x", str(tmp_path / "no.tar"))


def test_a_cache_that_is_not_there_is_an_error_with_the_one_that_was_meant(root: Path) -> None:
    with pytest.raises(BakeryError) as caught:
        run("cache", "rm", "/root/.nmp")
    assert caught.value.diagnostics[0].hint == 'did you mean "/root/.npm"?'


def test_how_long_ago_in_words() -> None:
    assert [
        ago(s) for s in (0.5, 1, 59, 60, 119, 3599, 3600, 5400, 86400 * 2, 86400 * 20, 86400 * 70, 86400 * 800)
    ] == [
        "Less than a second ago",
        "1 second ago",
        "59 seconds ago",
        "About a minute ago",
        "About a minute ago",
        "59 minutes ago",
        "About an hour ago",
        "2 hours ago",
        "2 days ago",
        "2 weeks ago",
        "2 months ago",
        "2 years ago",
    ]

"""Garbage collection: what goes first, what never goes, and that nothing that is left misses what went."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.blobs import BlobStore
from engine.cache.automatic import collect_if_due
from engine.cache.filters import RecordType, parse_filter
from engine.cache.gc import Disk, bytes_to_keep, collect, usefulness, victims
from engine.cache.policy import GB, DiskSpace, Limits, Rule, default_limits, default_rules
from engine.cache.records import Record, RecordStore
from engine.cache.usage import Usage, read_usage
from engine.digests import Digest
from engine.errors import StateError
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State

ALL = Rule(all=True)
EMPTY = Snapshot()


class Shop:
    """A state folder with layers in it, as builds leave them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = State.open(root)
        self.snapshots = SnapshotStore(self.state)
        self.blobs = BlobStore(self.state)
        self.records = RecordStore(self.state)

    def layer(self, key: str, base: Snapshot = EMPTY, *, size: int = 4096, age: float = 0.0) -> Snapshot:
        with self.snapshots.new_layer(base) as layer:
            (layer.path / "file").write_bytes(b"x" * size)
            snapshot = layer.commit(f"made by {key}")
        self.records.save([key, f"content of {key}"], Record((snapshot,), key), vertex="v", name=f"RUN {key}")
        then = time.time() - age
        self.state.write("UPDATE layers SET used = ? WHERE id = ?", then, snapshot.layers[-1])
        self.state.write("UPDATE records SET used = ? WHERE identity = ?", then, key)
        return snapshot

    def mount(self, cache: str, *, size: int = 4096, age: float = 0.0) -> str:
        folder = self.state.mounts / f"{cache}-0"
        (folder / "fs").mkdir(parents=True)
        (folder / "fs" / "file").write_bytes(b"x" * size)
        then = time.time() - age
        self.state.write("INSERT INTO cache_mounts VALUES (?, ?, ?, ?, 1)", folder.name, cache, then, then)
        return folder.name

    def known(self) -> set[str]:
        return set(RecordStore(self.state).find([row[0] for row in self.state.query("SELECT key FROM records")]))

    def end_build(self) -> None:
        self.state.lease.release()

    def collect(self, *rules: Rule) -> list[str]:
        return [record.description for record in collect(self.state, rules)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path / "root")
    yield shop
    shop.snapshots.close()
    shop.state.close()


def usage(id_: str, *, size: int = 100, used: float = 0.0, uses: int = 1, parents: tuple[str, ...] = ()) -> Usage:
    return Usage(id_, RecordType.REGULAR, size, 0.0, used, uses, id_, parents)


# The order


def test_the_longest_unused_and_the_least_often_used_goes_first() -> None:
    scores = usefulness([usage("old", used=1), usage("often", used=2, uses=9), usage("new", used=3)])
    assert scores == {"old": 1 / 3 + 1 / 2, "often": 2 / 3 + 1, "new": 1 + 1 / 2}


def test_nothing_goes_before_what_lies_on_it() -> None:
    records = {
        record.id: record
        for record in (
            usage("base", used=1),
            usage("middle", used=2, parents=("base",)),
            usage("top", used=9, parents=("middle",)),
            usage("other", used=5),
        )
    }
    taken = []
    for record in victims(ALL, records, 10.0):
        del records[record.id]
        taken.append(record.id)
    assert taken == ["other", "top", "middle", "base"]


def test_what_cannot_be_taken_keeps_what_lies_below_it() -> None:
    records = {"base": usage("base"), "top": usage("top", parents=("base",))}
    assert [record.id for record in victims(ALL, records, 10.0)] == ["top"]


def test_a_use_in_the_future_counts_as_now() -> None:
    records = {"a": usage("a", used=1e12)}
    assert not list(victims(Rule(keep_duration=60.0), records, 1000.0))
    assert list(victims(Rule(), records, 1000.0))


# How much


@pytest.mark.parametrize(
    ("limits", "total", "free", "keep"),
    [
        (Limits(), 50, 10, 0),
        (Limits(max_used=DiskSpace(30)), 50, 10, 30),
        (Limits(reserved=DiskSpace(40), max_used=DiskSpace(30)), 50, 10, 40),
        (Limits(min_free=DiskSpace(20)), 50, 10, 40),
        (Limits(min_free=DiskSpace(5)), 50, 10, 51),
        (Limits(max_used=DiskSpace(45), min_free=DiskSpace(20)), 50, 10, 40),
        (Limits(min_free=DiskSpace(percent=50)), 50, 10, 10),
        (Limits(reserved=DiskSpace(percent=10)), 50, 10, 10),
    ],
)
def test_how_much_stays(limits: Limits, total: int, free: int, keep: int) -> None:
    assert bytes_to_keep(Rule(limits=limits), total, Disk(100, free)) == keep


def test_the_default_rules_are_buildkits() -> None:
    limits = default_limits(40 * GB)
    assert limits == Limits(DiskSpace(percent=10), DiskSpace(percent=80), DiskSpace(percent=20))
    assert default_limits(1000 * GB) == Limits(DiskSpace(10 * GB), DiskSpace(100 * GB), DiskSpace(percent=20))
    rules = default_rules(limits)
    assert [(rule.keep_duration, bool(rule.filters), rule.all) for rule in rules] == [
        (48 * 3600.0, True, False),
        (60 * 86400.0, False, False),
        (0.0, False, False),
        (0.0, False, True),
    ]


# Filters


def test_filters_of_containerd() -> None:
    record = usage("abc", parents=("p", "q")).fields()
    for text, holds in {
        "": True,
        "id==abc": True,
        "id~=^a": True,
        "id!=abc": False,
        "type==regular,id~=b": True,
        "type==regular,mutable": False,
        "immutable": True,
        "mutable==false": True,
        'description=="abc"': True,
        "parents==p;q": True,
        " id == abc , private": True,
    }.items():
        assert parse_filter(text)(record) is holds, text
    for text in ("colour==red", "id~=(", "id=abc", ",", 'id=="abc'):
        with pytest.raises(ValueError, match="no f|no re|quoted"):
            parse_filter(text)


# On a real folder


def test_what_a_rule_takes_is_gone_from_the_disk_and_from_the_records(shop: Shop) -> None:
    base = shop.layer("base", age=100)
    shop.layer("old", base, age=90)
    new = shop.layer("new", base)
    shop.end_build()
    assert shop.collect(Rule(keep_duration=60)) == ["RUN old"]
    assert shop.known() == {"base", "content of base", "new", "content of new"}
    assert set(os.listdir(shop.state.layers)) == set(new.layers)


def test_everything_goes_when_all_is_asked_for(shop: Shop) -> None:
    shop.layer("top", shop.layer("base"))
    shop.blobs.put(b"a manifest")
    shop.mount("npm")
    shop.end_build()
    assert set(shop.collect(Rule())) == {"RUN top", "RUN base", 'cache mount "npm"'}
    assert shop.collect(ALL) == ["document"]
    for folder in (shop.state.layers, shop.state.blobs, shop.state.mounts):
        assert os.listdir(folder) == []
    assert read_usage(shop.state) == []
    assert shop.state.query("SELECT * FROM records") == []


def test_no_more_goes_than_the_limit_asks_for(shop: Shop) -> None:
    for number in range(5):
        shop.layer(f"{number}", size=100_000, age=100 - number)
    shop.end_build()
    each = read_usage(shop.state)[0].size
    assert shop.collect(Rule(limits=Limits(max_used=DiskSpace(3 * each + 1)))) == ["RUN 0", "RUN 1"]


def test_what_this_process_uses_stays(shop: Shop) -> None:
    shop.layer("mine", age=100)
    shop.end_build()
    shop.records.find(["mine"])
    assert shop.collect(ALL) == []
    assert [record.in_use for record in read_usage(shop.state)] == [True]


HOLD = """
import sys
from pathlib import Path
from engine.cache.records import RecordStore
from engine.state import State
state = State.open(Path(sys.argv[1]))
assert RecordStore(state).find(["theirs"])
print("found", flush=True)
sys.stdin.read()
"""


def test_what_another_process_uses_stays_until_it_ends(shop: Shop) -> None:
    shop.layer("theirs", age=100)
    shop.layer("nobodys", age=100)
    shop.end_build()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(shop.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdin is not None
    other.stdout.readline()
    assert shop.collect(ALL) == ["RUN nobodys"]
    other.stdin.close()
    other.wait()
    assert shop.collect(ALL) == ["RUN theirs"]
    other.stdout.close()


def test_a_blob_that_is_being_read_keeps_its_layer(shop: Shop) -> None:
    layer = shop.layer("exported").layers[0]
    digest = shop.blobs.put(b"its tar")
    shop.state.write(
        "INSERT INTO layer_blobs (layer, digest, media_type, size, options) VALUES (?, ?, 't', 7, 'gzip')",
        layer,
        digest,
    )
    shop.end_build()
    (record,) = read_usage(shop.state)
    assert record.blobs == (digest,)
    assert shop.blobs.has(digest)
    assert shop.collect(ALL) == []
    shop.end_build()
    assert shop.collect(ALL) == ["RUN exported"]
    assert not shop.blobs.path(digest).exists()


def test_a_layer_that_can_be_fetched_again_is_only_put_away(shop: Shop) -> None:
    layer = "a" * 64
    (shop.state.layers / layer / "fs").mkdir(parents=True)
    shop.state.write(
        "INSERT INTO layers (id, unpacked, diff_id, size, created, used) VALUES (?, 1, 'd', 4096, 0, 0)", layer
    )
    shop.state.write(
        "INSERT INTO layer_blobs (layer, digest, media_type, size, origin) VALUES (?, 'sha256:b', 't', 7, 'busybox')",
        layer,
    )
    shop.collect(ALL)
    assert shop.state.query("SELECT unpacked, size FROM layers WHERE id = ?", layer) == [(0, 0)]
    assert not (shop.state.layers / layer).exists()


def test_a_cache_mount_that_a_step_has_stays(shop: Shop) -> None:
    import fcntl

    name = shop.mount("npm")
    lock = os.open(shop.state.locks / f"mount-{name}", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_SH)
    assert shop.collect(ALL) == []
    os.close(lock)
    assert shop.collect(Rule(("type==exec.cachemount",))) == ['cache mount "npm"']


def test_a_cache_mount_is_measured_again_after_it_was_used(shop: Shop) -> None:
    name = shop.mount("npm", size=100_000, age=10)
    before = read_usage(shop.state)[0].size
    assert before > 100_000
    (shop.state.mounts / name / "fs" / "more").write_bytes(b"x" * 100_000)
    assert read_usage(shop.state)[0].size == before, "nobody has used it"
    shop.state.write("UPDATE cache_mounts SET used = ?", time.time() + 1)
    assert read_usage(shop.state, measure_after=60)[0].size == before
    assert read_usage(shop.state)[0].size > 200_000


def test_what_a_killed_process_left_without_a_record_is_tidied_away(shop: Shop) -> None:
    (shop.state.layers / "0123456789abcdef" / "fs").mkdir(parents=True)
    (shop.state.blobs / ("c" * 64)).write_bytes(b"never recorded")
    (shop.state.work / "blob-1-xyz").write_bytes(b"half")
    with shop.blobs.writer() as writer:
        writer.write(b"half of mine")
        shop.collect(ALL)
        writer.write(b", now whole")
        digest = writer.commit()
    assert os.listdir(shop.state.layers) == []
    assert os.listdir(shop.state.blobs) == [digest.removeprefix("sha256:")]
    assert not (shop.state.work / "blob-1-xyz").exists()


def test_room_is_made_even_where_nothing_can_be_written(shop: Shop) -> None:
    shop.layer("big", size=1_000_000)
    shop.end_build()
    pages = shop.state.query("PRAGMA page_count")[0][0]
    shop.state.query(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError):
        shop.state.write("INSERT INTO contents VALUES ('s', 't', ?)", "x" * 1_000_000)
    assert shop.collect(Rule()) == ["RUN big"]
    assert shop.known() == set()


# After builds


def test_collection_after_builds_comes_once_a_minute_and_only_where_there_is_something(shop: Shop) -> None:
    shop.layer("old", age=1000)
    shop.end_build()
    now = time.time()
    rule = Rule(keep_duration=60, limits=Limits(max_used=DiskSpace(1)))
    generous = Rule(limits=Limits(max_used=DiskSpace(1 << 40)))
    assert collect_if_due(shop.state, [generous], lambda: now) == []
    assert collect_if_due(shop.state, [rule], lambda: now + 59) == []
    assert [r.description for r in collect_if_due(shop.state, [rule], lambda: now + 61)] == ["RUN old"]


def test_a_clock_that_was_set_back_does_not_end_collection(shop: Shop) -> None:
    shop.layer("old", age=1e6)
    shop.end_build()
    now = time.time()
    rule = Rule(limits=Limits(max_used=DiskSpace(1)))
    assert collect_if_due(shop.state, [Rule(limits=Limits(max_used=DiskSpace(1 << 40)))], lambda: now + 9e9) == []
    assert len(collect_if_due(shop.state, [rule], lambda: now)) == 1


def test_records_whose_layers_went_are_made_again_not_missed(shop: Shop) -> None:
    top = shop.layer("top", shop.layer("base"))
    shutil.rmtree(shop.state.layers / top.layers[0])
    assert shop.known() == set()
    shop.end_build()
    assert Digest(top.layers[1]) in os.listdir(shop.state.layers)
    shop.collect(ALL)
    assert os.listdir(shop.state.layers) == []

"""Real disks that are full, read-only, or gone: a clear error, nothing broken, and all well once there is room."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from support.killable import Killable
from support.soundness import begin_round, check_build, check_state, check_words

pytestmark = pytest.mark.root

PLENTY = "size=200m,nr_inodes=20000"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """The place of the state folder as a disk of its own."""
    place = tmp_path / "root"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", PLENTY, "small", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def with_size(disk: Path, spare: int) -> str:
    """A limit of so many KiB more than are used."""
    info = os.statvfs(disk)
    used = (info.f_blocks - info.f_bfree) * info.f_frsize >> 10
    return f"size={used + spare}k,nr_inodes=20000"


def with_files(disk: Path, spare: int) -> str:
    """A limit of so many files more than there are."""
    info = os.statvfs(disk)
    return f"size=200m,nr_inodes={info.f_files - info.f_ffree + spare}"


def fill_up(bakery: Killable, project: Path, disk: Path, limits: list[Callable[[Path], str]]) -> int:
    """How many of the builds failed, each from nothing on a disk with other limits."""
    failed = 0
    for number, limit in enumerate(limits):
        remount(disk, PLENTY)
        assert bakery.run("prune", "--all", "--force") == 0, bakery.said()
        begin_round(project, number)
        remount(disk, limit(disk))
        if bakery.run("build", "--progress=plain"):
            failed += 1
            check_words(bakery)
            assert "bakery prune" in bakery.said()
        remount(disk, PLENTY)  # even to read a database takes room
        check_state(disk)
    check_build(bakery, project, len(limits) - 1)
    return failed


def test_a_disk_that_is_too_small_by_more_and_less(bakery: Killable, project: Path, disk: Path) -> None:
    limits = [partial(with_size, spare=spare) for spare in (100, 2000, 7000, 60_000)]
    assert 1 <= fill_up(bakery, project, disk, limits) < len(limits)


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_point(bakery: Killable, project: Path, disk: Path) -> None:
    chance = random.Random(seed := random.randrange(1 << 32))
    print(f"{seed=}")
    sizes = [partial(with_size, spare=chance.randrange(100, 40_000)) for _ in range(15)]
    files = [partial(with_files, spare=chance.randrange(1, 600)) for _ in range(15)]
    assert fill_up(bakery, project, disk, [*sizes, *files]) > 5


def test_room_can_be_made_on_a_full_disk(bakery: Killable, project: Path, disk: Path) -> None:
    begin_round(project, 0)
    check_build(bakery, project, 0)
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1 << 16))
    begin_round(project, 1)
    assert bakery.run("build", "--progress=plain") == 1
    check_words(bakery)
    assert bakery.run("prune", "--force") == 0, bakery.said()
    check_state(disk)
    assert bakery.run("build", "--progress=plain") == 1
    assert "free some space" in bakery.said(), "what the cache took is not enough"
    (disk / "ballast").unlink()
    check_build(bakery, project, 1)


@pytest.mark.parametrize("journal", ["left", "gone"])
def test_a_disk_that_may_only_be_read(bakery: Killable, project: Path, disk: Path, journal: str) -> None:
    check_build(bakery, project, 0)
    if journal == "gone":  # then SQLite has something to make before it can read
        database = sqlite3.connect(disk / "state.db")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        assert not (disk / "state.db-wal").exists()
    remount(disk, "ro")
    begin_round(project, 1)
    for verb in (("build",), ("prune", "--force")):
        assert bakery.run(*verb) == 1
        check_words(bakery)
        assert "BAKERY_ROOT" in bakery.said()
    remount(disk, "rw")
    check_build(bakery, project, 1)


def test_a_folder_that_is_gone_is_made_again(bakery: Killable, project: Path, tmp_path: Path) -> None:
    import shutil

    check_build(bakery, project, 0)
    shutil.rmtree(tmp_path / "root")
    check_build(bakery, project, 0)

"""Folders for unfinished work: those for the many files of an image are put away from each other."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

import pytest

from engine.snapshots.work import WorkFolder

GET_FLAGS, TOP_OF_A_TREE = 0x80086601, 0x00020000


def test_folders_apart_never_have_the_names_of_earlier_ones(tmp_path: Path) -> None:
    """ext4 chooses the place of such a folder by its name, and looks there through all that was removed just now."""
    names = set()
    for _ in range(3):
        work = WorkFolder(tmp_path)
        names |= {work.make_apart("layer").name for _ in range(4)}
        work.close()
    assert len(names) == 12
    assert list(tmp_path.iterdir()) == []


def test_the_file_system_is_told_that_folders_apart_are_unrelated(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    apart, ordinary = work.make_apart("layer").parent, work.make("layer").parent
    try:
        if not _knows_flag(tmp_path):
            pytest.skip("only ext2 to ext4 have such a flag")
        assert _flags(apart) & TOP_OF_A_TREE
        assert not _flags(ordinary) & TOP_OF_A_TREE
    finally:
        work.close()


def _knows_flag(folder: Path) -> bool:
    done = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip() == "ext2/ext3"


def _flags(folder: Path) -> int:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return int(struct.unpack("l", fcntl.ioctl(fd, GET_FLAGS, bytes(struct.calcsize("l"))))[0])
    finally:
        os.close(fd)


def test_small_folders_lie_on_shelves_that_are_apart(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    places = [Path(work.make_small("layer")) for _ in range(200)]

    shelves = {place.parent for place in places}

    assert len(set(places)) == 200
    assert all(place.is_dir() for place in places)
    assert len(shelves) == 64
    assert {shelf.parent for shelf in shelves} == {work.make_apart("layer").parent}


def test_one_small_folder_takes_one_shelf(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    for _ in range(3):
        work.make("step")

    place = Path(work.make_small("layer"))

    assert list(place.parent.parent.iterdir()) == [place.parent]

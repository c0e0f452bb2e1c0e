"""Layer folders become the tars that BuildKit makes of the same changes: the diff IDs here were recorded from it."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from engine.archive.layer_tar import write_layer
from engine.archive.overlay import make_whiteout, set_opaque
from engine.archive.unpack import unpack_layer
from engine.snapshots.overlay_format import overlay_format
from engine.snapshots.tree import LayeredTree

EPOCH = 1_700_000_000
root = pytest.mark.skipif(os.geteuid() != 0, reason="files must belong to root")


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    """Something to take away from: parts of a base image."""
    folder = tmp_path / "lower"
    for name in ("etc", "home", "bin"):
        (folder / name).mkdir(parents=True)
    for name in ("etc/group", "bin/[[", "bin/arch"):
        (folder / name).touch()
    return folder


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    folder = tmp_path / "upper"
    folder.mkdir()
    return folder


def layer(upper: Path, *lower: Path, epoch: int | None = EPOCH) -> bytes:
    out = io.BytesIO()
    write_layer(upper, LayeredTree(list(lower), overlay_format()), out, epoch=epoch)
    return out.getvalue()


def diff_id(upper: Path, *lower: Path) -> str:
    return hashlib.sha256(layer(upper, *lower)).hexdigest()


def names(upper: Path, *lower: Path) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer(upper, *lower))) as archive:
        return [member.name + "/" * member.isdir() for member in archive]


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# ---- recorded from BuildKit: the steps of the vector `run-changes`


@root
def test_files_folders_and_links(upper: Path, lower: Path) -> None:
    write(upper / "a/b/c/f", "1\n")
    os.link(write(upper / "a/g", "2\n"), upper / "a/g-hard")
    (upper / "a/g-link").symlink_to("g")
    write(upper / "keep/sub/h", "3\n")
    for name in ("dev", "proc", "sys"):
        (upper / name).mkdir()
    assert diff_id(upper, lower) == "5343c5dd79874007759ec771b41cdac5a56e0a46d7eb2c9d3a8707e6e2c8ae90"


@root
def test_deletions(upper: Path, lower: Path) -> None:
    (lower / "a/b").mkdir(parents=True)
    for name in ("a", "etc"):
        (upper / name).mkdir()
    for name in ("a/b", "etc/group", "home"):
        make_whiteout(str(upper / name))
    assert diff_id(upper, lower) == "804987be7c23d8149bd72315dc62b7a8bc9fdeaba397e49ec39a27317022802c"


@root
def test_a_folder_that_was_removed_and_made_again_lists_what_is_gone(upper: Path, lower: Path) -> None:
    write(lower / "keep/sub/h", "3\n")
    write(upper / "keep/other", "new\n")
    set_opaque(upper / "keep")
    assert diff_id(upper, lower) == "8a1a54dad3fbc329e8af5005e5d057aaa48199f6bbf939d2c7f45d8263079f54"


@root
def test_a_file_in_place_of_a_folder(upper: Path, lower: Path) -> None:
    write(lower / "a/g")
    write(upper / "a", "now-a-file\n")
    assert diff_id(upper, lower) == "1058b3c4da4e5bc44cdd1f3b1d6b8f1d3933e1c574136a1b6243686407a2609a"


@root
def test_a_folder_in_place_of_a_file(upper: Path, lower: Path) -> None:
    write(lower / "a")
    write(upper / "a/again")
    set_opaque(upper / "a")
    assert diff_id(upper, lower) == "a0ae8845d9c2117663c50c5736e694b10f4d82d57d95fdbed6782edcb27893d7"


@root
def test_a_rename(upper: Path, lower: Path) -> None:
    (lower / "keep").mkdir()
    make_whiteout(str(upper / "keep"))
    os.chown(write(upper / "kept/other", "new\n"), 5, 6)
    (upper / "kept").chmod(0o700)
    set_opaque(upper / "kept")  # as the kernel leaves renamed folders
    assert diff_id(upper, lower) == "b9cb4dfc6948e7991f1f1884873153b7e4879a227bb5d97967e25b3d6c1cc48a"


@root
def test_devices_and_special_modes(upper: Path, lower: Path) -> None:
    os.mkfifo(upper / "fifo", 0o644)
    os.mknod(upper / "zero", stat.S_IFCHR | 0o644, os.makedev(1, 5))
    os.mknod(upper / "blk", stat.S_IFBLK | 0o644, os.makedev(7, 0))
    (upper / "usr/bin").mkdir(parents=True)
    (upper / "usr/bin").chmod(0o2755)
    write(upper / "suid").chmod(0o4711)
    assert diff_id(upper, lower) == "609c78a14e0d08cc1d0f001314c6bd69fbad7abbced276a93db0f898c0edc594"


@root
def test_old_times_odd_names_and_holes(upper: Path, lower: Path) -> None:
    for name in ("old", "empty", "sparse"):
        write(upper / name)
    (upper / "olddir").mkdir()
    os.truncate(upper / "sparse", 100_000)
    for name in ("name with  space", "umläut", "tab\there"):
        write(upper / name, "x\n")
    for name in ("old", "olddir"):
        os.utime(upper / name, (1_000_000_000, 1_000_000_000))
    assert diff_id(upper, lower) == "6075d09f46511e2a95590cf98b822491c46f4024867175e84444aec177700207"


def test_an_empty_layer(upper: Path, lower: Path) -> None:
    assert diff_id(upper, lower) == "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@root
def test_a_link_in_place_of_a_file(upper: Path, lower: Path) -> None:
    (upper / "bin").mkdir()
    (upper / "bin/arch").symlink_to("/nowhere")
    make_whiteout(str(upper / "bin/[["))
    assert diff_id(upper, lower) == "0e4b0b6cce4dc7d5de3ed7fc21416dbbcc8abf9b5420bf553f2e3fd70736b27f"


# ---- what counts as a change


def test_folders_come_before_names_that_sort_after_them(upper: Path, lower: Path) -> None:
    for name in ("a/x", "a.b", "a-b/y", "B", "é"):
        write(upper / name)
    assert names(upper, lower) == ["B", "a/", "a/x", "a-b/", "a-b/y", "a.b", "é"]


def test_what_is_the_same_below_is_left_out(upper: Path, lower: Path) -> None:
    (upper / "etc").mkdir()
    (upper / "home").mkdir()
    write(upper / "home/new")
    os.utime(lower / "etc/group", (5, 5))
    os.utime(write(upper / "etc/group"), (5, 5))
    assert names(upper, lower) == ["home/", "home/new"]
    (upper / "etc").chmod(0o700)
    assert names(upper, lower) == ["etc/", "home/", "home/new"]


@pytest.mark.parametrize(("text", "changed"), [("same\n", False), ("diff\n", True)])
def test_files_with_whole_seconds_are_compared_by_content(upper: Path, lower: Path, text: str, changed: bool) -> None:
    for path in (write(lower / "f", "same\n"), write(upper / "f", text)):
        os.utime(path, (5, 5))
    assert names(upper, lower) == (["f"] if changed else [])


def test_whiteouts_of_nothing_are_left_out(upper: Path, lower: Path) -> None:
    make_whiteout(str(upper / "never"))
    assert names(upper, lower) == []


def test_an_unchanged_name_of_a_changed_file_is_a_link_in_an_opaque_folder(upper: Path, lower: Path) -> None:
    os.utime(write(lower / "d/a", "x"), (5, 5))
    write(lower / "d/gone/deep")
    os.link(write(upper / "d/a", "x"), upper / "d/b")
    os.utime(upper / "d/a", (5, 5))
    set_opaque(upper / "d")
    assert names(upper, lower) == ["d/", "d/b", "d/a", "d/.wh.gone"]


def test_sockets_are_left_out_and_attributes_too_but_capabilities(upper: Path, lower: Path) -> None:
    os.mknod(upper / "socket", stat.S_IFSOCK | 0o644)
    os.setxattr(write(upper / "f"), "user.note", b"x")
    assert names(upper, lower) == ["f"]
    assert b"user.note" not in layer(upper, lower)


@root
def test_capabilities_are_kept(upper: Path, lower: Path, tmp_path: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)
    os.setxattr(write(upper / "ping"), "security.capability", capability)
    again = tmp_path / "again"
    again.mkdir()
    unpack_layer(io.BytesIO(layer(upper, lower)), again)
    assert os.getxattr(again / "ping", "security.capability") == capability


def test_what_was_written_unpacks_to_the_same(upper: Path, lower: Path, tmp_path: Path) -> None:
    write(lower / "o/below")
    for name in ("d/" + "x" * 150, "d" * 90 + "/" + "e" * 90 + "/f", "byte\udcff", "o/new"):
        write(upper / name, name.encode(errors="surrogateescape").hex())
    (upper / "long-link").symlink_to("y" * 200)
    os.link(upper / ("d/" + "x" * 150), upper / "z-hard")
    make_whiteout(str(upper / "home"))
    os.utime(upper / "o/new", (1, 0))
    first = layer(upper, lower)
    again = tmp_path / "again"
    again.mkdir()
    unpack_layer(io.BytesIO(first), again)
    assert layer(again, lower) == first
    with tarfile.open(fileobj=io.BytesIO(first), errors="surrogateescape") as archive:
        archive.getmembers()


def test_times_before_1970_and_after_2242(upper: Path) -> None:
    write(upper / "early")
    os.utime(upper / "early", (-5, -5))
    with tarfile.open(fileobj=io.BytesIO(layer(upper, epoch=None))) as archive:
        assert [member.mtime for member in archive] == [-5]

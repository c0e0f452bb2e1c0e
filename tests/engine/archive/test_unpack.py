"""Unpacking: everything a tar can say arrives on disk, and nothing arrives outside."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from engine.archive.errors import ArchiveError
from engine.archive.overlay import is_opaque, is_whiteout
from engine.archive.unpack import Unpacked, extract, unpack_layer

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for owners and devices")


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1_600_000_000
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tar(*members: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for item in members:
            info, data = item if isinstance(item, tuple) else (item, b"")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


def folder(name: str, **fields) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE, **fields)


def link(name: str, to: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, linkname=to)


def hard(name: str, to: str, **fields: int) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, linkname=to, **fields)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "in" / "target"
    made.mkdir(parents=True)
    return made


# ---- what a tar says


def test_files_folders_and_links_arrive_with_their_metadata(target: Path) -> None:
    done = unpack_layer(
        tar(
            folder("bin/", mode=0o500, mtime=5),
            (member("bin/tool", mode=0o4755), b"#!tool"),
            link("bin/alias", "tool"),
            hard("bin/second", "bin/tool", mode=0o4711),
            member("pipe", tarfile.FIFOTYPE),
        ),
        target,
    )
    assert done == Unpacked(members=5, size=6, implicit=("/",))
    tool = (target / "bin/tool").stat()
    assert (stat.S_IMODE(tool.st_mode), tool.st_mtime, tool.st_nlink) == (0o4711, 1_600_000_000, 2)
    assert (target / "bin/second").read_bytes() == b"#!tool"
    assert os.readlink(target / "bin/alias") == "tool"
    assert (target / "bin/alias").lstat().st_mtime == 1_600_000_000
    assert stat.S_ISFIFO((target / "pipe").stat().st_mode)
    assert stat.S_IMODE((target / "bin").stat().st_mode) == 0o500
    assert (target / "bin").stat().st_mtime == 5


@root
def test_owners_and_devices(target: Path) -> None:
    null = member("null", tarfile.CHRTYPE, devmajor=1, devminor=3)
    big = member("big", uid=3_000_000, gid=4_000_000)
    unpack_layer(tar(null, (member("f", uid=7, gid=8, mode=0o6755), b"x"), big, folder("d", uid=5, gid=6)), target)
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)
    status = (target / "f").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (7, 8, 0o6755)
    assert (target / "big").stat().st_uid == 3_000_000
    assert (target / "d").stat().st_gid == 6


@root
def test_extended_attributes(target: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)
    records = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
    }
    unpack_layer(tar((member("ping", pax_headers=records), b"x"), folder("d", pax_headers=records)), target)
    assert os.getxattr(target / "ping", "security.capability") == capability
    assert [name for name in os.listxattr(target / "d") if "overlay" in name] == []


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_odd_names(target: Path, form: int) -> None:
    names = ["x" * 200, "d" * 120 + "/" + "f" * 120, "umläut", "sp ace", "tab\there", "byte\udcff"]
    unpack_layer(tar(*((member(name), name.encode(errors="surrogateescape")) for name in names), form=form), target)
    for name in names:
        assert (target / name).read_bytes() == name.encode(errors="surrogateescape")


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_keep_their_holes(target: Path, tmp_path: Path, form: str) -> None:
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        for block in range(30):
            file.seek(block * 1_000_000)
            file.write(b"block %d" % block)
        file.truncate(40_000_000)
    how = ["--format=gnu"] if form == "gnu" else ["--format=posix", f"--sparse-version={form}"]
    made = subprocess.run(["tar", "-C", tmp_path, "-cS", *how, "sparse"], capture_output=True, check=True).stdout
    unpack_layer(io.BytesIO(made), target)
    assert (target / "sparse").read_bytes() == source.read_bytes()
    assert (target / "sparse").stat().st_blocks * 512 < 2_000_000


def test_the_last_member_of_a_name_wins(target: Path) -> None:
    unpack_layer(
        tar(
            (member("a"), b"first"),
            (member("a"), b"second"),
            (member("d/f"), b"x"),
            member("d"),
            (member("e"), b"x"),
            folder("e"),
            link("l", "/nowhere"),
            (member("l"), b"file"),
        ),
        target,
    )
    assert (target / "a").read_bytes() == b"second"
    assert (target / "d").is_file()
    assert (target / "e").is_dir()
    assert (target / "l").read_bytes() == b"file"
    assert not (target / "l").is_symlink()


def test_folders_that_are_not_mentioned_are_reported(target: Path) -> None:
    done = unpack_layer(tar(folder("./"), (member("a/b/c"), b""), folder("a"), (member("x/y"), b"")), target)
    assert done.implicit == ("/a/b", "/x")
    assert (target / "a/b").stat().st_mtime == 0
    assert stat.S_IMODE((target / "a/b").stat().st_mode) == 0o755


def test_an_empty_stream_is_an_empty_layer(target: Path) -> None:
    assert unpack_layer(io.BytesIO(), target).members == 0
    assert unpack_layer(io.BytesIO(bytes(1024)), target).members == 0


def test_a_stream_is_read_to_its_end(target: Path) -> None:
    stream = io.BytesIO(tar(member("a")).getvalue() + b"padding" * 1000)
    unpack_layer(stream, target)
    assert stream.read() == b""


# ---- whiteouts


def test_whiteouts_become_overlayfs_ones(target: Path) -> None:
    unpack_layer(tar(member("d/.wh.gone"), member("o/.wh..wh..opq"), member(".wh..wh.plnk"), member("o/new")), target)
    assert is_whiteout((target / "d/gone").lstat())
    assert is_opaque(target / "o")
    assert sorted(os.listdir(target)) == ["d", "o"]


@pytest.mark.parametrize("first", ["whiteout", "folder"])
def test_a_folder_in_place_of_a_removed_one_hides_it(target: Path, first: str) -> None:
    members = [member(".wh.d"), folder("d")]
    unpack_layer(tar(*(members if first == "whiteout" else members[::-1])), target)
    assert is_opaque(target / "d")


def test_a_file_in_place_of_a_removed_one_is_just_a_file(target: Path) -> None:
    unpack_layer(tar((member("f"), b"new"), member(".wh.f"), member(".wh.g"), (member("g"), b"new")), target)
    assert (target / "f").read_bytes() == (target / "g").read_bytes() == b"new"


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_no_possible_name_is_refused(target: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="hides no possible name"):
        unpack_layer(tar(folder("d"), member(name)), target)


def test_for_add_whiteouts_are_ordinary_files(target: Path) -> None:
    extract(tar(member(".wh.x"), member("d/.wh..wh..opq")), target)
    assert (target / ".wh.x").is_file()
    assert not is_opaque(target / "d")


def test_add_merges_folders_and_replaces_the_rest(target: Path) -> None:
    (target / "d").mkdir()
    (target / "d/kept").write_text("kept")
    (target / "f").mkdir()
    before = target.stat().st_mode
    extract(tar(folder("./", mode=0o700), (member("d/new"), b"new"), (member("f"), b"file")), target, owner=(3, 4))
    assert (target / "d/kept").read_text() == "kept"
    assert (target / "f").read_bytes() == b"file"
    assert target.stat().st_mode == before
    if os.geteuid() == 0:
        assert (target / "d/new").stat().st_uid == 3


# ---- tricks


TRICKS = {
    "dots": [(member("../escape"), b"x")],
    "many dots": [(member("a/../../../../escape"), b"x")],
    "absolute": [(member("/escape"), b"x")],
    "folder of dots": [folder(".."), folder("../escape")],
    "link to the parent, then through it": [link("up", ".."), (member("up/escape"), b"x")],
    "link far up": [link("up", "../../../.."), (member("up/escape"), b"x")],
    "absolute link": [link("up", "/"), (member("up/escape"), b"x")],
    "link by two links": [link("a", "b"), link("b", "../.."), (member("a/escape"), b"x")],
    "link in place of a folder that is open": [
        (member("d/one"), b"x"),
        member("d"),
        link("d", ".."),
        (member("d/escape"), b"x"),
    ],
    "whiteout through a link": [link("up", ".."), member("up/.wh.escape")],
    "opaque mark through a link": [link("up", ".."), member("up/.wh..wh..opq")],
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("unpack", [unpack_layer, extract])
def test_nothing_leaves_the_target(tmp_path: Path, target: Path, trick: str, unpack) -> None:
    unpack(tar(*TRICKS[trick]), target)
    assert os.listdir(tmp_path) == ["in"]
    assert os.listdir(tmp_path / "in") == ["target"]
    assert not is_opaque(tmp_path / "in")
    assert not Path("/escape").exists()


def test_a_file_is_never_written_through_a_link(tmp_path: Path, target: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    victim.chmod(0o600)
    unpack_layer(tar(link("f", str(victim)), (member("f", mode=0o777), b"attack")), target)
    unpack_layer(tar(link("l", str(victim)), hard("h", "l"), (member("h"), b"attack")), target)
    assert victim.read_text() == "safe"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


@pytest.mark.parametrize("to", ["../victim", "/victim", "up/victim", "../../in/victim"])
def test_a_hard_link_never_reaches_outside(target: Path, to: str) -> None:
    (target.parent / "victim").write_text("safe")
    with pytest.raises(ArchiveError, match="is a hard link to"):
        unpack_layer(tar(link("up", ".."), hard("h", to)), target)


def test_a_hard_link_to_itself_changes_nothing(target: Path) -> None:
    unpack_layer(tar((member("f"), b"x"), hard("f", "./f")), target)
    assert (target / "f").read_bytes() == b"x"


def test_a_hard_link_whose_source_makes_room_for_it_is_an_error(target: Path) -> None:
    with pytest.raises(ArchiveError, match="is a hard link to"):
        unpack_layer(tar((member("d/f"), b"x"), hard("d", "d/f")), target)


def test_links_in_a_circle_are_an_error(target: Path) -> None:
    with pytest.raises(ArchiveError, match="too many symbolic links"):
        unpack_layer(tar(link("a", "b"), link("b", "a"), (member("a/f"), b"")), target)


def test_a_path_through_a_file_is_an_error(target: Path) -> None:
    with pytest.raises(ArchiveError, match="no folder"):
        unpack_layer(tar((member("f"), b""), (member("f/g"), b"")), target)


def test_a_very_deep_path_is_an_error(target: Path) -> None:
    with pytest.raises(ArchiveError):
        unpack_layer(tar((member("a/" * 100_000 + "f"), b"")), target)


def test_a_sparse_file_of_impossible_size_is_an_error(target: Path) -> None:
    records = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 60), "GNU.sparse.name": "bomb"}
    with pytest.raises(ArchiveError, match="mostly holes"):
        unpack_layer(tar((member("bomb", pax_headers=records), b"x")), target)


@pytest.mark.parametrize("map_", ["5,1,0,1", "0,9", "0,-1", "x", "0", "1,1,1,1"])
def test_a_sparse_map_that_makes_no_sense_is_an_error(target: Path, map_: str) -> None:
    records = {"GNU.sparse.map": map_, "GNU.sparse.size": "8"}
    with pytest.raises(ArchiveError):
        unpack_layer(tar((member("f", pax_headers=records), b"xy")), target)


def test_a_cut_off_archive_is_an_error(target: Path) -> None:
    whole = tar((member("f"), b"x" * 5000)).getvalue()
    for length in (100, 513, 3000):
        with pytest.raises(ArchiveError):
            unpack_layer(io.BytesIO(whole[:length]), target)


def test_what_is_no_tar_is_an_error(target: Path) -> None:
    with pytest.raises(ArchiveError, match="not a tar archive"):
        unpack_layer(io.BytesIO(b"hello world " * 100), target)
    with pytest.raises(ArchiveError):
        unpack_layer(io.BytesIO(b"hello"), target)


def test_numbers_out_of_range_are_an_error(target: Path) -> None:
    for records in ({"uid": "4294967295"}, {"uid": "-1"}, {"size": "-5"}, {"mtime": "soon"}, {"size": "x"}):
        with pytest.raises(ArchiveError, match="broken archive"):
            unpack_layer(tar(member("f", pax_headers=records)), target)


def test_times_out_of_range_are_taken_as_zero(target: Path) -> None:
    unpack_layer(tar(member("f", pax_headers={"mtime": "99999999999999999"}), member("g", mtime=-5)), target)
    assert (target / "f").stat().st_mtime == (target / "g").stat().st_mtime == 0

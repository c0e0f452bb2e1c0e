"""A hit is never wrong: after any change, what was built before must not stand for what would be built now.

Each story builds, changes something, and builds again with the same state folder; the result must be that of a build
with an empty one. What may stay known must stay known.
"""

from __future__ import annotations

import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.in_process import Workplace

BAKE = """
target "default" {
  output = ["type=tar,dest=out.tar"]
}
"""
DOCKERFILE = """FROM scratch AS one
COPY src /src
COPY top /renamed
FROM scratch
COPY --from=one /src /copied
COPY --from=one /renamed /
COPY src/*.txt /texts/
"""


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path / "project", tmp_path / "root")
    place.write("docker-bake.hcl", BAKE)
    place.write("Dockerfile", DOCKERFILE)
    place.write("top", "top")
    place.write("src/a.txt", "some text")
    place.write("src/b.txt", "more text")
    place.write("src/deep/er/file", "deep")
    os.symlink("a.txt", place.folder / "src/link")
    (place.folder / "src/empty").mkdir()
    os.link(place.folder / "src/b.txt", place.folder / "src/twin")
    return place


NOBODY = 0xFFFFFFFF
"""Where an entry of an access list is for no user of its own."""
Picture = dict[str, tuple[object, ...]]


def picture(place: Workplace) -> Picture:
    """Everything that an image can hold of each file, times aside."""
    with tarfile.open(place.folder / "out.tar") as tar:
        return {
            info.name: (
                info.type,
                oct(info.mode),
                info.uid,
                info.gid,
                info.linkname,
                (b"" if info.issym() or not (file := tar.extractfile(info)) else file.read()),
                tuple(sorted((k, v) for k, v in info.pax_headers.items() if "xattr" in k)),
            )
            for info in tar.getmembers()
        }


def fresh(place: Workplace) -> Picture:
    """What an empty state folder gives."""
    Workplace(place.folder, place.root.parent / "fresh").build_well()
    return picture(place)


def edited_same_size_same_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_same_size_same_time(path: Path) -> None:
    """By another file, renamed into its place, as editors and `cp -p` do."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)


def swapped(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    os.rename(one, aside)
    os.rename(other, one)
    os.rename(aside, other)


def relinked(path: Path, to: str) -> None:
    path.unlink()
    os.symlink(to, path)


def turned_into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def turned_into_a_file(path: Path) -> None:
    path.rmdir()
    path.write_bytes(b"")


def with_attribute(path: Path, value: bytes) -> None:
    try:
        os.setxattr(path, "user.test", value)
    except OSError:
        pytest.skip("no extended attributes here")


EDITS: dict[str, Callable[[Path], object]] = {
    "content": lambda src: (src / "a.txt").write_text("other text"),
    "same size": lambda src: (src / "a.txt").write_text("text some"),
    "same size and time": lambda src: edited_same_size_same_time(src / "a.txt"),
    "replaced with same size and time": lambda src: replaced_same_size_same_time(src / "a.txt"),
    "two files swapped": lambda src: swapped(src / "a.txt", src / "b.txt"),
    "one name of two of a file": lambda src: edited_same_size_same_time(src / "twin"),
    "mode": lambda src: (src / "a.txt").chmod(0o755),
    "setuid": lambda src: (src / "a.txt").chmod(0o4755),
    "mode of a folder": lambda src: (src / "deep").chmod(0o700),
    "attribute": lambda src: with_attribute(src / "a.txt", b"1"),
    "target of a link": lambda src: relinked(src / "link", "b.txt"),
    "target of a link, same length": lambda src: relinked(src / "link", "b.txt"),
    "link that leads nowhere": lambda src: relinked(src / "link", "nowhere"),
    "case of a name": lambda src: os.rename(src / "a.txt", src / "A.txt"),
    "renamed": lambda src: os.rename(src / "a.txt", src / "c.txt"),
    "renamed folder": lambda src: os.rename(src / "deep", src / "deeper"),
    "moved up": lambda src: os.rename(src / "deep/er/file", src / "deep/file"),
    "new file": lambda src: (src / "deep/new").write_text(""),
    "new empty folder": lambda src: (src / "deep/new").mkdir(),
    "file taken away": lambda src: (src / "a.txt").unlink(),
    "empty folder taken away": lambda src: (src / "empty").rmdir(),
    "file becomes a folder": lambda src: turned_into_a_folder(src / "a.txt"),
    "folder becomes a file": lambda src: turned_into_a_file(src / "empty"),
    "link becomes what it led to": lambda src: replaced_by_its_target(src / "link"),
    "name with a line break": lambda src: (src / "a\nb").write_text(""),
    "name that is no text": lambda src: Path(os.fsdecode(os.fsencode(src) + b"/\xff")).write_text(""),
}


def replaced_by_its_target(link: Path) -> None:
    content = link.read_bytes()
    link.unlink()
    link.write_bytes(content)


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_shows_in_the_result(place: Workplace, edit: str) -> None:
    place.build_well()
    before = picture(place)
    EDITS[edit](place.folder / "src")
    place.build_well()
    after = picture(place)
    assert after == fresh(place)
    assert after != before


def test_an_attribute_that_changes_its_value_or_goes_shows(place: Workplace) -> None:
    path = place.folder / "src/a.txt"
    with_attribute(path, b"1")
    place.build_well()
    for change in (lambda: with_attribute(path, b"2"), lambda: os.removexattr(path, "user.test")):
        change()
        place.build_well()
        assert picture(place) == fresh(place)


def with_access_list(path: Path, owner: int) -> None:
    """A list that lets user 1000 do what `owner` says (of rwx), and so much that no mode tells one from another."""
    entries = [(0x01, 6, NOBODY), (0x02, owner, 1000), (0x04, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 4, NOBODY)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", value)
    except OSError:
        pytest.skip("no access control lists here")


def test_an_access_list_that_changes_or_goes_shows(place: Workplace) -> None:
    path = place.folder / "src/a.txt"
    with_access_list(path, 6)
    place.build_well()
    seen = [picture(place)]
    for change in (lambda: with_access_list(path, 4), lambda: os.removexattr(path, "system.posix_acl_access")):
        change()
        place.build_well()
        seen.append(picture(place))
        assert seen[-1] == fresh(place)
        assert seen[-1] != seen[-2]


def test_edits_faster_than_any_clock_all_show(place: Workplace) -> None:
    for number in range(12):
        edited_same_size_same_time(place.folder / "src/a.txt")
        (place.folder / "src/b.txt").write_text(f"text {number:4}")
        place.build_well()
        found = picture(place)["copied/b.txt"][5]
        assert found == f"text {number:4}".encode()


def test_owners_and_times_do_not_count(place: Workplace) -> None:
    place.build_well()
    os.utime(place.folder / "src/a.txt", (1, 1))
    if os.geteuid() == 0:
        os.chown(place.folder / "src/b.txt", 1234, 1234)
    built = place.build_well()
    assert built.ran == []
    assert picture(place) == fresh(place)


def test_a_context_that_is_renamed_or_moved_stays_known(place: Workplace) -> None:
    place.build_well()
    moved = Workplace(place.folder.with_name("elsewhere"), place.root)
    os.rename(place.folder, moved.folder)
    assert moved.build_well().ran == []
    assert picture(moved) == fresh(moved)


def test_another_folder_in_the_place_of_a_context_shows(place: Workplace) -> None:
    place.build_well()
    aside = place.folder.with_name("aside")
    os.rename(place.folder, aside)
    for name in ("docker-bake.hcl", "Dockerfile", "top"):
        place.write(name, (aside / name).read_bytes())
    place.write("src/a.txt", "some text")
    os.utime(place.folder / "src/a.txt", ns=(0, (aside / "src/a.txt").stat().st_mtime_ns))
    place.build_well()
    assert picture(place) == fresh(place)


def test_arguments_that_are_declared_but_unused_change_no_copy(place: Workplace) -> None:
    place.write("Dockerfile", "FROM scratch\nARG UNUSED=1\nCOPY src /src\nARG NAME=x\nCOPY top /$NAME\n")
    place.build_well()
    assert place.build_well(overrides=("default.args.UNUSED=2",)).ran == []
    assert place.build_well(overrides=("default.args.NAME=y",)).ran == ["COPY top /y"]
    assert "y" in picture(place)
    assert "x" not in picture(place)


def test_platforms_and_their_variants_do_not_stand_for_each_other(place: Workplace) -> None:
    place.write("Dockerfile", "FROM scratch\nARG TARGETPLATFORM\nCOPY src/a.txt /$TARGETPLATFORM\n")
    seen = set()
    for platform in ("linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/amd64"):
        place.build_well(overrides=(f"default.platform={platform}",))
        found = {name for name, entry in picture(place).items() if entry[0] == tarfile.REGTYPE}
        assert found == {platform}
        seen |= found
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("COPY src /a", "COPY src /b"),
        ("COPY src /a", "COPY src/ /a/"),
        ("COPY --chmod=600 top /a", "COPY --chmod=640 top /a"),
        ("COPY --chown=1:2 top /a", "COPY --chown=2:1 top /a"),
        ("COPY --exclude=*.txt src /a", "COPY --exclude=deep src /a"),
        ("COPY --link top /a", "COPY top /a"),
        ("COPY --parents src/deep/er/file /a", "COPY src/deep/er/file /a"),
        ("COPY <<X /a\none\nX", "COPY <<X /a\ntwo\nX"),
        ("COPY top /a\nCOPY src/a.txt /a", "COPY src/a.txt /a\nCOPY top /a"),
        ("WORKDIR /a\nCOPY top .", "WORKDIR /b\nCOPY top ."),
    ],
)
def test_every_change_of_an_instruction_shows(place: Workplace, before: str, after: str) -> None:
    for text in (before, after, before):
        place.write("Dockerfile", f"FROM scratch\n{text}\n")
        place.build_well()
        assert picture(place) == fresh(place)


def test_what_dockerignore_hides_is_not_there_and_does_not_count(place: Workplace) -> None:
    place.build_well()
    place.write(".dockerignore", "src/deep\n")
    place.build_well()
    assert picture(place) == fresh(place)
    place.write("src/deep/er/file", "nobody sees this")
    assert place.build_well().ran == []
    place.write(".dockerignore", "src/deep\n!src/deep/er\n")
    place.build_well()
    assert picture(place) == fresh(place)


def test_targets_whose_contexts_differ_in_filters_alone_share(place: Workplace) -> None:
    place.write("one.Dockerfile", "FROM scratch\nCOPY src /src\nCOPY top /\n")
    place.write("two.Dockerfile", "FROM scratch\nCOPY src /src\n")
    place.write("one.Dockerfile.dockerignore", "unrelated\n")
    place.write("two.Dockerfile.dockerignore", "another\n*.md\n")
    place.write(
        "docker-bake.hcl",
        'group "default" { targets = ["one", "two"] }\n'
        'target "one" { dockerfile = "one.Dockerfile" }\ntarget "two" { dockerfile = "two.Dockerfile" }\n',
    )
    assert place.build_well().ran == ["COPY src /src", "COPY top /"]


def test_going_back_to_what_was_before_is_known(place: Workplace) -> None:
    place.build_well()
    first = picture(place)
    path = place.folder / "src/a.txt"
    path.write_text("changed")
    place.build_well()
    path.write_text("some text")
    assert place.build_well().ran == []
    assert picture(place) == first

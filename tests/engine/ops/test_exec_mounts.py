"""What is mounted into steps that are really run: parts of other results, folders, memory, caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from support.kitchen import Kitchen

from engine.errors import StepError
from engine.llb.ops import CacheOpt, CacheSharing, Mount, MountType, TmpfsOpt
from engine.results import LocalTree, Snapshot

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]


def bind(dest: str, selector: str = "", *, readonly: bool = True, output: int = -1, input: int = 1) -> Mount:
    return Mount(input=input, selector=selector, dest=dest, output=output, readonly=readonly)


def test_a_readonly_bind_shows_a_part_of_another_result(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir -p /out/sub; echo made > /out/sub/file; echo top > /top")
    mounts = [bind("/m", "/out"), bind("/on/the/way/file", "/top")]
    snapshot = kitchen.step("cat /m/sub/file /on/the/way/file; ! touch /m/x 2>/dev/null", mounts=mounts, inputs=[made])
    assert kitchen.said == b"made\ntop\n"
    assert kitchen.left(snapshot) == []


def test_a_writable_bind_without_output_forgets(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir /out; echo old > /out/file")
    snapshot = kitchen.step(
        "echo new > /m/file; cat /m/file", mounts=[bind("/m", "/out", readonly=False)], inputs=[made]
    )
    assert kitchen.said == b"new\n"
    assert kitchen.left(snapshot) == []
    assert kitchen.read(made, "/out/file") == "old\n"


def test_a_writable_bind_with_output_is_a_second_result(kitchen: Kitchen) -> None:
    made = kitchen.step("echo old > /file")
    mount = bind("/m", readonly=False, output=1)
    first, second = trio.run(lambda: kitchen.run("echo new > /m/file", mounts=[mount], inputs=[made]))
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert kitchen.left(first) == []
    assert second.layers[:-1] == made.layers
    assert kitchen.read(second, "/file") == "new\n"


def test_a_scratch_mount_with_output_begins_empty(kitchen: Kitchen) -> None:
    mount = bind("/m", readonly=False, output=1, input=-1)
    _, second = trio.run(lambda: kitchen.run("ls -A /m; echo x > /m/x", mounts=[mount]))
    assert kitchen.said == b""
    assert isinstance(second, Snapshot)
    assert kitchen.left(second) == ["/x"]


def test_a_folder_of_this_machine_is_shown_filtered_and_owned_by_root(kitchen: Kitchen, tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "data").mkdir(parents=True)
    (context / "data/a").write_text("a\n")
    (context / "data/ignored").write_text("no\n")
    os.chown(context / "data/a", 500, 500)
    local = LocalTree(context, exclude=("**/ignored",))
    mounts = [bind("/ctx"), bind("/rw", "/data", readonly=False), bind("/one", "/data/a")]
    kitchen.step(
        "ls -A /ctx/data; stat -c %u /ctx/data/a; echo x > /rw/a; cat /rw/a /one", mounts=mounts, inputs=[local]
    )
    assert kitchen.said == b"a\n0\nx\na\n"
    assert (context / "data/a").read_text() == "a\n"


def test_a_source_that_is_not_there_is_an_error(kitchen: Kitchen) -> None:
    with pytest.raises(StepError, match='"/no/such": not found'):
        kitchen.step("true", mounts=[bind("/m", "/no/such")], inputs=[kitchen.base])


def test_a_link_as_source_or_place_stays_in_its_tree(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir /in; echo inside > /in/shadow; ln -s ../../../../in /etc/out; ln -s / /up")
    kitchen.step("cat /m/shadow", mounts=[bind("/m", "/etc/out")], inputs=[made])
    assert kitchen.said == b"inside\n"
    snapshot = kitchen.step(
        "cat /tmp/place/shadow",
        on=kitchen.step("ln -s ../../../../tmp /l"),
        mounts=[bind("/l/place", "/in")],
        inputs=[made],
    )
    assert kitchen.said == b"inside\n"
    assert kitchen.left(snapshot) == []


def test_mounts_may_lie_in_each_other_and_in_dev(kitchen: Kitchen) -> None:
    made = kitchen.step("mkdir -p /out/sub; echo made > /out/file")
    tmpfs = Mount(input=-1, dest="/m/sub", output=-1, mount_type=MountType.TMPFS, tmpfs_opt=TmpfsOpt())
    snapshot = kitchen.step(
        "echo x > /m/sub/x; cat /m/file /dev/pipes/EOF",
        mounts=[tmpfs, bind("/m", "/out"), bind("/dev/pipes/EOF", "/out/file")],
        inputs=[made],
    )
    assert kitchen.said == b"made\nmade\n"
    assert kitchen.left(snapshot) == []


def test_a_mount_in_one_whose_way_leads_over_a_link_goes_where_that_one_goes(kitchen: Kitchen) -> None:
    linked = kitchen.step("mkdir -p /a/b /out; ln -s /a /link; echo made > /out/file")
    inner = bind("/link/b/c/new/file", "/out/file")
    outer = cache("/link/b/c", "c", CacheSharing.LOCKED)
    snapshot = kitchen.step("cat /a/b/c/new/file", on=linked, mounts=[inner, outer], inputs=[linked])
    assert kitchen.said == b"made\n"
    assert kitchen.left(snapshot) == []


def test_memory_takes_over_the_mode_of_the_folder_that_it_covers(kitchen: Kitchen) -> None:
    """As with BuildKit; it belongs to root all the same."""
    dests = ("/mine", "/made/here", "/tmp")
    mounts = [Mount(input=-1, dest=dest, output=-1, mount_type=MountType.TMPFS, tmpfs_opt=TmpfsOpt()) for dest in dests]
    base = kitchen.step("mkdir /mine; chown 5:6 /mine; chmod 2710 /mine")
    snapshot = kitchen.step(f"stat -c '%a %u:%g' {' '.join(dests)}", on=base, mounts=mounts)
    assert kitchen.said.split(b"\n")[:3] == [b"2710 0:0", b"1777 0:0", b"1777 0:0"]
    assert kitchen.left(snapshot) == []


def test_programs_of_another_stage_may_be_set_user_id_as_with_buildkit(kitchen: Kitchen) -> None:
    mounts = [bind("/m"), cache("/c", "c")]
    said = kitchen.says("grep -E ' /(m|c) ' /proc/self/mounts", mounts=mounts, inputs=[kitchen.base])
    assert len(said.splitlines()) == 2
    assert ("nosuid" in said) is (kitchen.runtime.name == "bubblewrap"), "which knows no other way"


def test_a_mount_may_hide_what_the_sandbox_shows(kitchen: Kitchen) -> None:
    made = kitchen.step("echo mine > /hosts")
    snapshot = kitchen.step("cat /etc/hosts", mounts=[bind("/etc/hosts", "/hosts")], inputs=[made])
    assert kitchen.said == b"mine\n"
    assert kitchen.left(snapshot) == []


def test_a_tmpfs_is_empty_limited_and_forgotten(kitchen: Kitchen) -> None:
    mounts = [
        Mount(input=-1, dest=dest, output=-1, mount_type=MountType.TMPFS, tmpfs_opt=TmpfsOpt(size))
        for dest, size in (("/scratch", 1 << 20), ("/dev/shm", 32 << 20), ("/tmp", 0))
    ]
    snapshot = kitchen.step(
        "for f in /scratch /dev/shm; do df -k $f | awk 'NR==2 {print $2}'; done; echo x > /tmp/x; stat -c %a /tmp",
        mounts=mounts,
    )
    assert kitchen.said.split() == [b"1024", b"32768", b"1777"]
    assert kitchen.left(snapshot) == []


def cache(dest: str, id: str, sharing: CacheSharing = CacheSharing.SHARED, **more: object) -> Mount:
    values = {"input": -1, "output": -1, **more}
    return Mount(dest=dest, mount_type=MountType.CACHE, cache_opt=CacheOpt(id, sharing), **values)  # type: ignore[arg-type]


def test_a_cache_is_kept_between_steps_and_in_no_layer(kitchen: Kitchen) -> None:
    assert kitchen.left(kitchen.step("echo kept > /one/x", mounts=[cache("/one", "c")])) == []
    assert kitchen.says("cat /two/x", mounts=[cache("/two", "c")]) == "kept\n"
    assert kitchen.says("ls /three", mounts=[cache("/three", "other")]) == ""


def test_a_seeded_cache_is_another_one(kitchen: Kitchen) -> None:
    seed = kitchen.step("mkdir /s; echo seeded > /s/file; chown 100:200 /s; chmod 750 /s")
    kitchen.step("echo kept > /c/x", mounts=[cache("/c", "c")])
    seeded = cache("/c", "c", input=1, selector="/s")
    assert (
        kitchen.says("ls /c; cat /c/file; stat -c '%a %u %g' /c", mounts=[seeded], inputs=[seed])
        == "file\nseeded\n750 100 200\n"
    )


def test_a_readonly_cache_is_readonly(kitchen: Kitchen) -> None:
    kitchen.step("! touch /c/x 2>/dev/null", mounts=[cache("/c", "c", readonly=True)])

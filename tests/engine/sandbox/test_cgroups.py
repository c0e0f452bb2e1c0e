"""Limits of memory and processors: really made where this machine's kernel lets us, in the other version's words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import trio

from engine.llb.ops import LinuxResources
from engine.sandbox import cgroups
from engine.sandbox.cgroups import limited

RESOURCES = LinuxResources(
    memory=64 << 20, memory_swap=96 << 20, cpu_shares=512, cpu_period=50_000, cpu_quota=25_000, cpuset_cpus="0"
)


def files_of(resources: LinuxResources) -> tuple[dict[str, str], list[str], list[Path]]:
    """What the files of a step's groups say while it runs, what was refused, and the groups' folders."""

    async def look() -> tuple[dict[str, str], list[str], list[Path]]:
        found: dict[str, str] = {}
        async with limited(resources) as limits:
            for folder in limits.folders:
                for path in sorted(folder.iterdir()):
                    if (
                        path.is_file()
                        and os.access(path, os.R_OK)
                        and path.name.split(".")[0] in ("memory", "cpu", "cpuset")
                    ):
                        try:
                            found[path.name] = path.read_text().strip()
                        except OSError:
                            continue
            return found, limits.refused, limits.folders

    return trio.run(look)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make control groups")
def test_the_kernel_has_the_limits_and_forgets_them_with_the_step() -> None:
    said, refused, folders = files_of(RESOURCES)
    if refused:
        pytest.skip(f"no control groups can be made here: {refused}")
    if cgroups.is_unified():
        assert said["memory.max"] == str(64 << 20)
        assert (said["cpu.max"], said["cpu.weight"], said["cpuset.cpus"]) == ("25000 50000", "20", "0")
    else:
        assert said["memory.limit_in_bytes"] == str(64 << 20)
        assert (said["cpu.cfs_quota_us"], said["cpu.cfs_period_us"]) == ("25000", "50000")
        assert (said["cpu.shares"], said["cpuset.cpus"]) == ("512", "0")
    assert folders
    assert not [folder for folder in folders if folder.exists()]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make control groups")
def test_a_process_joins_by_the_open_files() -> None:
    async def join() -> str:
        async with limited(LinuxResources(cpu_shares=512)) as limits:
            if limits.refused:
                pytest.skip(f"no control groups can be made here: {limits.refused}")
            (group,) = limits.processes
            script = f"echo 0 > /proc/self/fd/{group}; cat /proc/self/cgroup"
            done = await trio.run_process(["sh", "-c", script], capture_stdout=True, pass_fds=[group])
            return done.stdout.decode()

    assert f"/bakery-{os.getpid()}-" in trio.run(join)


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something like a machine whose control groups are of version 2 alone: it has the files, and limits nothing."""
    root = tmp_path / "cgroup"
    ours = root / "system.slice" / "build.service"
    ours.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (ours.parent / "cgroup.subtree_control").write_text("memory pids\n")
    (tmp_path / "own").write_text("0::/system.slice/build.service\n")
    monkeypatch.setattr(cgroups, "_ROOT", root)
    monkeypatch.setattr(cgroups, "_OWN", tmp_path / "own")
    return ours


def test_version_2_is_told_in_its_own_words_beside_our_own_group(unified: Path) -> None:
    files = {file for names in cgroups._wanted(RESOURCES).values() for file in names.items()}
    assert files == {
        ("memory.max", str(64 << 20)),
        ("memory.swap.max", str(32 << 20)),
        ("cpu.weight", "20"),
        ("cpu.max", "25000 50000"),
        ("cpuset.cpus", "0"),
    }
    limits = cgroups.Limits()
    (unified.parent / "b").mkdir()
    assert cgroups._parent("memory") == unified.parent
    assert cgroups._parent("cpu") == unified.parent
    assert (unified.parent / "cgroup.subtree_control").read_text() == "+cpu", "the kernel adds it to those that are on"
    assert not limits.was_killed()


def test_a_step_that_was_ended_for_its_memory_is_known_in_both_versions(unified: Path) -> None:
    for name, text in (
        ("memory.events", "low 0\nmax 12\noom 1\noom_kill {}\n"),
        ("memory.oom_control", "oom_kill {}\n"),
    ):
        for count, killed in ((0, False), (2, True)):
            limits = cgroups.Limits()
            limits.folders = [unified]
            (unified / name).write_text(text.format(count))
            assert limits.was_killed() is killed
        (unified / name).unlink()


def test_what_cannot_be_limited_is_said(unified: Path) -> None:
    (unified.parent / "cgroup.subtree_control").unlink()
    said, refused, folders = files_of(RESOURCES)
    assert (said, folders) == ({}, [])
    assert sorted(refused) == [f"{name}: No such file or directory" for name in ("cpu", "cpuset", "memory")]


def test_groups_of_processes_that_are_gone_are_swept_away(unified: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f"bakery-{gone.pid}-0", f"bakery-{os.getpid()}-0", "bakery-x-0"):
        (cgroups._ROOT / name).mkdir()
    cgroups.sweep()
    assert not (cgroups._ROOT / f"bakery-{gone.pid}-0").exists()
    assert (cgroups._ROOT / f"bakery-{os.getpid()}-0").exists()
    assert (cgroups._ROOT / "bakery-x-0").exists()

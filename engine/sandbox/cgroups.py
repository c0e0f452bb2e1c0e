"""Limits of memory and processors for one step, by a control group of its own, in either version of them.

It is the same for all runtimes: a process of the step joins by open files, before it runs anything of the step.

Files: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.rst of the kernel.
"""

from __future__ import annotations

import errno
import itertools
import os
import posixpath
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import trio

from engine.events import Stream
from engine.llb.ops import LinuxResources
from engine.sandbox.contract import UNKNOWN, Exit, Output, Step

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_numbers = itertools.count()


class Limits:
    """The control groups of one step; `processes` are the open files that a process writes `0` to in order to join."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self.processes: list[int] = []
        self.refused: list[str] = []
        """What could not be limited, and why."""

    def was_killed(self) -> bool:
        """Whether the kernel has ended a process of the step for its memory limit."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    lines = (folder / name).read_text().splitlines()
                    if any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines):
                        return True
        return False


@asynccontextmanager
async def limited(resources: LinuxResources, parent: str = "") -> AsyncIterator[Limits]:
    """Control groups with the limits, as far as this user may make them; gone with the block, when the step is.

    `parent` is the path of the group, among all of this machine, that they are to be made in; empty for our own.
    """
    limits = Limits()
    name = f"bakery-{os.getpid()}-{next(_numbers)}"
    try:
        for controller, files in _wanted(resources, bool(parent)).items():
            try:
                _limit(limits, controller, files, _parent(controller, parent) / name)
            except OSError as error:
                limits.refused.append(f"{controller}: {error.strerror}")
        yield limits
    finally:
        for descriptor in limits.processes:
            os.close(descriptor)
        with trio.CancelScope(shield=True):
            for folder in limits.folders:
                await _remove(folder)


async def within_limits(step: Step, output: Output, run: Callable[[Sequence[int]], Awaitable[Exit]]) -> Exit:
    """Runs a step within the limits that it asks for; `run` is given the open files by which its processes join."""
    if step.resources is None and not step.cgroup_parent:
        return await run(())
    resources = step.resources or LinuxResources()
    async with limited(resources, step.cgroup_parent) as limits:
        for refused in limits.refused:
            output(Stream.STDERR, f"bakery: the step is not limited as it should be: {refused}\n".encode())
        ended = await run(limits.processes)
        if ended.code and limits.was_killed():
            return replace(ended, memory_limit=resources.memory or UNKNOWN)
        return ended


def is_unified() -> bool:
    """Whether this machine has control groups of version 2 alone."""
    return (_ROOT / "cgroup.controllers").exists()


def _wanted(resources: LinuxResources, everywhere: bool = False) -> dict[str, dict[str, str]]:
    """The files to write, by controller; those of version 2, or of version 1. `everywhere`: also if there are none."""
    r, new = resources, is_unified()
    found: dict[str, dict[str, str]] = {"memory": {}, "cpu": {}, "cpuset": {}}
    if r.memory:
        found["memory"]["memory.max" if new else "memory.limit_in_bytes"] = str(r.memory)
    if r.memory and r.memory_swap:
        swap = ("memory.swap.max", r.memory_swap - r.memory) if new else ("memory.memsw.limit_in_bytes", r.memory_swap)
        found["memory"][swap[0]] = str(swap[1]) if r.memory_swap > 0 else ("max" if new else "-1")
    if r.cpu_shares:
        # The mapping of both ranges, 2 … 262144 and 1 … 10000, that OCI runtimes use.
        weight = 1 + (r.cpu_shares - 2) * 9999 // 262142
        found["cpu"]["cpu.weight" if new else "cpu.shares"] = str(weight if new else r.cpu_shares)
    if r.cpu_quota or r.cpu_period:
        period, quota = r.cpu_period or 100_000, r.cpu_quota
        if new:
            found["cpu"]["cpu.max"] = f"{quota if quota > 0 else 'max'} {period}"
        else:
            found["cpu"] |= {"cpu.cfs_period_us": str(period)} | ({"cpu.cfs_quota_us": str(quota)} if quota else {})
    if r.cpuset_cpus:
        found["cpuset"]["cpuset.cpus"] = r.cpuset_cpus
    if r.cpuset_mems:
        found["cpuset"]["cpuset.mems"] = r.cpuset_mems
    if everywhere:
        found["pids"] = {}
    return {controller: files for controller, files in found.items() if files or everywhere}


def _limit(limits: Limits, controller: str, files: dict[str, str], folder: Path) -> None:
    if folder not in limits.folders:
        _make(folder, controller)
        limits.folders.append(folder)
    for file, value in files.items():
        (folder / file).write_text(value)
    if folder / "cgroup.procs" not in [Path(os.readlink(f"/proc/self/fd/{fd}")) for fd in limits.processes]:
        limits.processes.append(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))


def _make(folder: Path, controller: str) -> None:
    folder.mkdir()
    if controller == "cpuset" and not is_unified():  # version 1 takes no process before both are set
        for file in ("cpuset.cpus", "cpuset.mems"):
            (folder / file).write_text((folder.parent / file).read_text())


def _parent(controller: str, wanted: str = "") -> Path:
    """Where this process may have groups with a controller, or the group of all that is `wanted`. Raises OSError."""
    return _named(controller, wanted) if wanted else _own(controller)


def _named(controller: str, wanted: str) -> Path:
    folder = _ROOT if is_unified() else _ROOT / controller
    if not folder.exists():
        raise OSError(errno.ENOENT, "this machine has no such control group")
    for name in posixpath.normpath("/" + wanted).strip("/").split("/"):
        _enable(controller, folder)
        folder /= name
        if not folder.exists():
            _make(folder, controller)
    _enable(controller, folder)
    return folder


def _enable(controller: str, folder: Path) -> None:
    """Lets groups in a group have limits of a kind. Raises OSError."""
    if is_unified() and controller not in (folder / "cgroup.subtree_control").read_text().split():
        (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _own(controller: str) -> Path:
    for line in _OWN.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not is_unified() and controller in controllers.split(","):
            return _ROOT / controller / path.lstrip("/")
        if is_unified() and not controllers:
            # Beside our own group, not in it: groups with processes have no groups with limits below them.
            parent = (_ROOT / path.lstrip("/")).parent if path != "/" else _ROOT
            _enable(controller, parent)
            return parent
    raise OSError(errno.ENOENT, "this machine has no such control group")


async def _remove(folder: Path) -> None:
    """The last process of a group takes a moment to be gone from it."""
    for _ in range(50):
        if not _is_busy(folder):
            return
        await trio.sleep(0.01)


def _is_busy(folder: Path) -> bool:
    """Whether a group cannot be removed yet; if it can, it is."""
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def sweep() -> None:
    """Removes groups of processes of ours that were killed before they could."""
    for folder in (*_ROOT.glob("bakery-*-*"), *_ROOT.glob("*/bakery-*-*")):
        pid = folder.name.split("-")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            _is_busy(folder)

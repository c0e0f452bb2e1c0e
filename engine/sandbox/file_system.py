"""The file system of a step, as the system calls that make it in a mount namespace of its own.

What is where, and with which options, is as in BuildKit's steps, but that device nodes lead nowhere outside of the
step's /dev: where BuildKit has a control group of devices for it, mounts say `nodev` here.

What a step's own mounts show is opened while paths are those of this machine, and mounted when the step's root is the
root already: whatever links another step may have laid in a cache meanwhile, they lead to nothing outside.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from engine.llb.ops import SecurityMode
from engine.sandbox.calls import AT_FDCWD, StepCalls
from engine.sandbox.contract import BindMount, Step, TmpfsMount
from engine.sandbox.defaults import DEVICES, SHM_SIZE
from engine.sandbox.launcher import Argument
from engine.snapshots.kernel import (
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
)

_SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC
# linux/fcntl.h, linux/mount.h
_AT_RECURSIVE, _AT_EMPTY_PATH, _OPEN_TREE_CLONE, _MOVE_FROM_DESCRIPTOR = 0x8000, 0x1000, 0x1, 0x4
_LINKS = {
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1",
    "dev/stderr": "/proc/self/fd/2",
    "dev/ptmx": "pts/ptmx",
}
_TTY_GROUP = 5
_DEV_SIZE = 64 << 20


def make_file_system(calls: StepCalls, step: Step, root: Path, own_sys: bool) -> None:
    """Adds the calls that make `root` the root folder, with everything in it that is mounted.

    `own_sys` says whether a /sys of the step's own can be mounted; else this machine's is shown.
    """
    insecure = step.security is SecurityMode.INSECURE
    folder = str(root)
    calls.must("cannot keep mounts to the step", "mount", 0, "/", 0, MS_REC | MS_PRIVATE, 0)
    calls.must("cannot mount the root", "mount", folder, folder, 0, MS_BIND | MS_REC, 0)
    if not insecure:
        _restrict(calls, folder, MS_NODEV)
    calls.must("cannot change to the root", "chdir", folder)
    calls.may("umask", 0)
    calls.must("cannot mount /proc", "mount", "proc", "proc", "proc", _SAFE, 0)
    _dev(calls, insecure)
    _sys(calls, insecure, own_sys)
    with calls.first_descriptor() as free:
        numbers = range(free, free + len(step.mounts))
        for mount, number in zip(step.mounts, numbers, strict=True):
            if isinstance(mount, BindMount):
                _open(calls, mount, number, insecure)
    # One on the other, then the lower one away: pivot_root(2) describes it.
    calls.must("cannot change the root", "pivot_root", ".", ".")
    calls.must("cannot leave the machine's root", "umount2", ".", MNT_DETACH)
    calls.must("cannot change to the root", "chdir", "/")
    made = ["/dev", "/proc", "/sys"]
    for mount, number in zip(step.mounts, numbers, strict=True):
        _make_place(calls, mount, made)
        _mount(calls, mount, number)
        made.append(mount.dest)
    if step.readonly_root:
        calls.must("cannot make the root read-only", *_set_attributes("/", MS_RDONLY))


def _dev(calls: StepCalls, insecure: bool) -> None:
    flags = MS_NOSUID | (0 if insecure else MS_NODEV)
    calls.must("cannot mount /dev", "mount", "tmpfs", "dev", "tmpfs", flags, f"mode=0755,size={_DEV_SIZE}")
    for name in ("pts", "shm", "mqueue"):
        calls.must("cannot make /dev", "mkdirat", AT_FDCWD, f"dev/{name}", 0o755)
    for path in device_nodes() if insecure else [f"/dev/{name}" for name in (*DEVICES, "tty")]:
        # A bind mount rather than a node: nobody but the machine's root may make one.
        calls.must("cannot make /dev", "mknodat", AT_FDCWD, path[1:], stat.S_IFREG | 0o666, 0)
        calls.must(f"cannot mount {path}", "mount", path, path[1:], 0, MS_BIND, 0)
    for path, target in _LINKS.items():
        calls.must("cannot make /dev", "symlinkat", target, AT_FDCWD, path)
    group = f",gid={_TTY_GROUP}" if _has_tty_group() else ""
    data = f"newinstance,ptmxmode=0666,mode=0620{group}"
    calls.must("cannot mount /dev/pts", "mount", "devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, data)
    calls.must("cannot mount /dev/shm", "mount", "tmpfs", "dev/shm", "tmpfs", _SAFE, f"mode=1777,size={SHM_SIZE}")
    calls.must("cannot mount /dev/mqueue", "mount", "mqueue", "dev/mqueue", "mqueue", _SAFE, 0)


def _sys(calls: StepCalls, insecure: bool, own: bool) -> None:
    readonly = 0 if insecure else MS_RDONLY
    if own:
        calls.must("cannot mount /sys", "mount", "sysfs", "sys", "sysfs", _SAFE | readonly, 0)
        return
    calls.must("cannot mount /sys", "mount", "/sys", "sys", 0, MS_BIND | MS_REC, 0)
    _restrict(calls, "sys", _SAFE | readonly)
    calls.must("cannot hide control groups", "mount", "tmpfs", "sys/fs/cgroup", "tmpfs", MS_RDONLY | _SAFE, 0)


def _open(calls: StepCalls, mount: BindMount, number: int, insecure: bool) -> None:
    """Makes a mount that is nowhere yet, under a number of a descriptor."""
    problem = f"cannot mount on {mount.dest}"
    calls.must(problem, "open_tree", AT_FDCWD, str(mount.source), _OPEN_TREE_CLONE | _AT_RECURSIVE)
    wanted = {MS_RDONLY: mount.readonly, MS_NOSUID: mount.nosuid, MS_NOEXEC: mount.noexec}
    wanted[MS_NODEV] = not mount.is_node and (mount.nodev or not insecure)
    flags = sum(flag for flag, is_set in wanted.items() if is_set)
    calls.must(problem, *_set_attributes("", flags, _AT_RECURSIVE | _AT_EMPTY_PATH, folder=0))
    calls.must(problem, "dup3", 0, number, 0)
    calls.may("close", 0)


def _make_place(calls: StepCalls, mount: BindMount | TmpfsMount, made: Sequence[str]) -> None:
    """A place in another mount is nobody's concern but ours, and there already if it can be."""
    outer = max((dest for dest in made if mount.dest.startswith(dest.rstrip("/") + "/")), key=len, default=None)
    if outer is None:
        return
    path = outer.rstrip("/")
    *folders, last = mount.dest[len(path) + 1 :].split("/")
    for folder in folders:
        path += f"/{folder}"
        calls.may("mkdirat", AT_FDCWD, path, 0o755)
    if isinstance(mount, TmpfsMount) or mount.source.is_dir():
        calls.may("mkdirat", AT_FDCWD, f"{path}/{last}", 0o755)
    else:
        calls.may("mknodat", AT_FDCWD, f"{path}/{last}", stat.S_IFREG | 0o644, 0)


def _mount(calls: StepCalls, mount: BindMount | TmpfsMount, source: int) -> None:
    problem = f"cannot mount on {mount.dest}"
    if isinstance(mount, TmpfsMount):
        data = f"mode={mount.mode:o}" + (f",size={mount.size}" if mount.size else "")
        calls.must(problem, "mount", "tmpfs", mount.dest, "tmpfs", MS_NOSUID | MS_NODEV, data)
        return
    calls.must(problem, "move_mount", source, "", AT_FDCWD, mount.dest, _MOVE_FROM_DESCRIPTOR)
    calls.may("close", source)


def _restrict(calls: StepCalls, place: str, flags: int) -> None:
    calls.must(f"cannot restrict {place}", *_set_attributes(place, flags, _AT_RECURSIVE))


def _set_attributes(path: str, flags: int, at: int = 0, folder: int = AT_FDCWD) -> tuple[str, *tuple[Argument, ...]]:
    """mount_setattr(2): adds to the options of a mount, where a remount would have to repeat those that it has."""
    attributes = struct.pack("<4Q", flags, 0, 0, 0)
    return "mount_setattr", folder, path, at, attributes, len(attributes)


@cache
def _has_tty_group() -> bool:
    """Whether terminals can belong to the group that they belong to everywhere."""
    lines = (line.split() for line in Path("/proc/self/gid_map").read_text().splitlines())
    return any(int(first) <= _TTY_GROUP < int(first) + int(count) for first, _, count in lines)


def device_nodes() -> list[str]:
    """The device nodes of this machine, for a step that may have all of them."""
    with os.scandir("/dev") as entries:
        found = ((item.path, item.stat(follow_symlinks=False).st_mode) for item in entries if item.name != "ptmx")
        return sorted(path for path, mode in found if stat.S_ISCHR(mode) or stat.S_ISBLK(mode))

"""The way into a step for its first process: last mounts, limits, ids, capabilities, filter, then the program."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from engine.errors import StepError
from engine.llb.ops import SecurityMode
from engine.sandbox.calls import AT_FDCWD, Calls, StepCalls
from engine.sandbox.contract import Step
from engine.sandbox.defaults import (
    CAPABILITIES,
    DEFAULT_CAPABILITIES,
    DEVICES,
    MASKED_PATHS,
    OOM_SCORE,
    PROCESSES,
    READONLY_PATHS,
    RLIMITS,
    mask_of,
)
from engine.sandbox.launcher import Words, strings
from engine.sandbox.seccomp import filter_program
from engine.snapshots import user_namespace
from engine.snapshots.kernel import (
    CLONE_NEWNET,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
)
from engine.snapshots.user_namespace import Ids

RUNNING = b"r"
"""Written to the status pipe right before the program is executed."""
NOT_EXECUTABLE = b"x"
"""Written after it, when no program could be executed; the exit code is then 1, as with BuildKit."""

# linux/prctl.h, linux/capability.h, linux/seccomp.h, linux/close_range.h
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 24, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_SECCOMP_SET_MODE_FILTER = 1
_CLOSE_RANGE_CLOEXEC = 4
_ALL_FDS = 0xFFFFFFFF
_TIOCSCTTY = 0x540E
_SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC


def entry(step: Step, status: int, own_sys: bool = True) -> StepCalls:
    """The way into a step under bubblewrap; `status` is the number of the status pipe in the new process.

    `own_sys` says whether it mounts a /sys of its own; else there is this machine's.

    Raises:
        StepError: for a limit that does not exist.
        UnsupportedError: on a machine without a launcher.
    """
    calls = StepCalls(status)
    insecure = step.security is SecurityMode.INSECURE
    calls.may("unlinkat", AT_FDCWD, "/dev/core", 0)  # bwrap makes it, Docker does not
    if own_sys:
        calls.must("cannot mount /sys", "mount", "sysfs", "/sys", "sysfs", _SAFE | (0 if insecure else MS_RDONLY), 0)
    else:
        calls.must("cannot hide control groups", "mount", "tmpfs", "/sys/fs/cgroup", "tmpfs", MS_RDONLY | _SAFE, 0)
    if insecure:
        for path in READONLY_PATHS:  # bwrap has made some of them read-only
            calls.may("mount", 0, path, 0, MS_REMOUNT | MS_BIND | _SAFE, 0)
    entered(calls, step)
    return calls


def entered(calls: StepCalls, step: Step) -> None:
    """Adds what is left to do once a step's namespaces and mounts are there.

    Raises:
        StepError: for a limit that does not exist.
    """
    _bound_processes(calls)
    if step.security is not SecurityMode.INSECURE:
        _protect(calls)
    _last_calls(calls, step)


def container_entry(step: Step, status: int, groups: range) -> StepCalls:
    """The same where an OCI runtime has done the mounts.

    `groups` are the numbers, after that of the status pipe, of open files that join control groups.
    """
    calls = StepCalls(status, free=groups.stop)
    for group in groups:
        calls.must("cannot join a control group", "write", group, "0", 1)
    calls.may("mount", 0, "/proc/sys", 0, MS_REMOUNT | MS_BIND | _SAFE, 0)
    _bound_processes(calls)
    if step.security is not SecurityMode.INSECURE:
        calls.may("mount", 0, "/proc/sys", 0, MS_REMOUNT | MS_BIND | MS_RDONLY | _SAFE, 0)
        _close_to_devices(calls, MS_RDONLY if step.readonly_root else 0)
    _last_calls(calls, step)
    return calls


def bound_to_parent(
    args: Sequence[str], files: Mapping[int, int], user_namespace: int | None = None, network: int | None = None
) -> Calls:
    """A program on this machine that dies with the thread that starts it, in the namespaces that are given.

    `files` are descriptors that it finds under other numbers: those that it has to be given as, by those that they are
    inherited as.
    """
    calls = Calls()
    if network is not None:  # first: it belongs to our user namespace, and not to the one for emulation
        calls.must("cannot enter the step's network", "setns", network, CLONE_NEWNET)
    if user_namespace is not None:
        calls.must("cannot enter the user namespace for emulation", "setns", user_namespace, CLONE_NEWUSER)
    calls.die_with_parent()
    for inherited, number in files.items():
        calls.must("cannot hand a file on", "dup3", inherited, number, 0)
    calls.may("close_range", max(files.values()) + 1, _ALL_FDS, _CLOSE_RANGE_CLOEXEC)
    calls.must(f"cannot run {args[0]}", "execve", args[0], strings(args), strings([f"PATH={os.defpath}"]))
    return calls


def joined(args: Sequence[str], groups: Sequence[int], network: int | None) -> Calls:
    """A program on this machine that first joins control groups, by open files that take process numbers, and a network
    namespace, if one is given.
    """
    calls = Calls()
    if network is not None:
        calls.must("cannot enter the step's network", "setns", network, CLONE_NEWNET)
    for group in groups:
        calls.must("cannot join a control group", "write", group, "0", 1)
    calls.must(f"cannot run {args[0]}", "execve", args[0], strings(args), strings([]))
    return calls


def _last_calls(calls: StepCalls, step: Step) -> None:
    insecure = step.security is SecurityMode.INSECURE
    calls.may("setsid")  # else `kill 0` in the step would reach those who watch it
    if step.terminal is not None:
        calls.may("ioctl", 0, _TIOCSCTTY, 0)
    calls.may("umask", 0o022)
    _limits(calls, step)
    calls.must(f"cannot change to the folder {step.cwd}", "chdir", step.cwd)
    if not insecure:  # while there are the privileges for it
        program = filter_program(os.uname().machine)
        calls.must(
            "cannot filter system calls", "seccomp", _SECCOMP_SET_MODE_FILTER, 0, Words((len(program) // 8, program))
        )
    _identity(calls, step, frozenset(CAPABILITIES) if insecure else DEFAULT_CAPABILITIES)
    calls.die_with_parent()
    calls.may("close_range", 3, _ALL_FDS, _CLOSE_RANGE_CLOEXEC)
    _execute(calls, step)


def _bound_processes(calls: StepCalls) -> None:
    """A step that starts processes without end comes to an end itself, and so does one that takes all memory."""
    if _own_pid_limit():
        calls.write("/proc/sys/kernel/pid_max", str(PROCESSES))
    calls.write("/proc/self/oom_score_adj", str(OOM_SCORE))


@cache
def _own_pid_limit() -> bool:
    """Whether each PID namespace has a `pid_max` of its own (Linux 6.14). Before, there is one for the machine!"""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return release is not None and (int(release[1]), int(release[2])) >= (6, 14)


def _protect(calls: Calls) -> None:
    """Makes settings of the kernel read-only, and hides what it tells of the machine."""
    for path in _present(READONLY_PATHS):
        problem = f"cannot make {path} read-only"
        calls.must(problem, "mount", path, path, 0, MS_BIND | MS_REC, 0)
        calls.must(problem, "mount", 0, path, 0, MS_REMOUNT | MS_BIND | MS_RDONLY | _SAFE, 0)
    for path in _present(MASKED_PATHS):
        problem = f"cannot hide {path}"
        if os.path.isdir(path):
            calls.must(problem, "mount", "tmpfs", path, "tmpfs", MS_RDONLY | _SAFE, 0)
        else:
            calls.must(problem, "mount", "/dev/null", path, 0, MS_BIND, 0)


def _close_to_devices(calls: Calls, root: int) -> None:
    """Nodes that a step makes lead nowhere, also where there is no control group of devices to see to it."""
    for name in (*DEVICES, "tty"):
        calls.must(f"cannot keep /dev/{name}", "mount", f"/dev/{name}", f"/dev/{name}", 0, MS_BIND, 0)
    for path, flags in (("/dev", MS_NOSUID), ("/", root)):
        calls.must("cannot close devices", "mount", 0, path, 0, MS_REMOUNT | MS_BIND | MS_NODEV | flags, 0)


@cache
def _present(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those that this kernel has: the step's /proc and /sys show the same ones."""
    return tuple(path for path in paths if os.path.exists(path))


def _limits(calls: Calls, step: Step) -> None:
    for limit in step.ulimits:
        if limit.name not in RLIMITS:
            raise StepError(f"there is no ulimit called {limit.name}", hint=f"known are {', '.join(RLIMITS)}")
        values = Words((limit.soft, limit.hard))
        calls.must(f"cannot set the ulimit {limit.name}", "prlimit64", 0, RLIMITS[limit.name], values, 0)


def _identity(calls: Calls, step: Step, capabilities: frozenset[str]) -> None:
    for number in range(_last_capability() + 1):
        if number >= len(CAPABILITIES) or CAPABILITIES[number] not in capabilities:
            calls.must("cannot drop a capability", "prctl", _PR_CAPBSET_DROP, number)
    calls.must("cannot clear capabilities", "prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    groups = struct.pack(f"<{len(step.groups)}I", *step.groups)
    if user_namespace.ids() is Ids.SINGLE:  # then there are no groups to set, and the attempt is refused
        calls.may("setgroups", len(step.groups), groups)
    else:
        calls.must("cannot set groups", "setgroups", len(step.groups), groups)
    calls.must(f"cannot become group {step.gid}", "setresgid", step.gid, step.gid, step.gid)
    calls.must(f"cannot become user {step.uid}", "setresuid", step.uid, step.uid, step.uid)
    mask = 0 if step.uid else mask_of(capabilities) & own_capabilities()
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    calls.must("cannot set capabilities", "capset", header, struct.pack("<6I", low, low, 0, high, high, 0))


@cache
def own_capabilities() -> int:
    """This process's, as a bit set: in a container, even root may not have all of them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapPrm:")).split()[1], 16)


@cache
def _last_capability() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text())


def not_executable(step: Step) -> bytes:
    """What is said of a program that could not be executed."""
    return f"{step.args[0]}: no such program, or not executable\n".encode()


def _execute(calls: StepCalls, step: Step) -> None:
    calls.report(RUNNING, 1)
    arguments, environment = strings(step.args), strings(step.env)
    for path in _candidates(step):
        calls.may("execve", path, arguments, environment)
    calls.report(NOT_EXECUTABLE, 1)
    calls.may("exit_group", 1)


def _candidates(step: Step) -> list[str]:
    """Where the program may be, as `execvp` would look for it."""
    name = step.args[0]
    if "/" in name:
        return [name]
    path = next((item.partition("=")[2] for item in step.env if item.startswith("PATH=")), "")
    return [f"{folder or '.'}/{name}" for folder in path.split(":")]

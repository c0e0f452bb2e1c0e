"""The user namespace in which an ordinary user's engine works: chown, mounts and `USER` do there what they do for root.

In it this user is root, and the ids of `/etc/subuid` and `/etc/subgid` are the other users and groups. The maps are
written by shadow's `newuidmap` and `newgidmap`, which hold the privilege for it; nothing of bakery is set-user-ID, and
no daemon is left. Where a user has no such ids there is one user only: what needs a second one cannot be done then.

A process can only go there while it has one thread, and cannot come back. So it goes when an engine is opened: that
costs a few milliseconds. To start the program anew once it is known that something is to be run would cost a hundred
times as much.

Formats: subuid(5), newuidmap(1), user_namespaces(7).
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.snapshots.kernel import CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, mount, unshare

if TYPE_CHECKING:
    import subprocess

CAP_SYS_ADMIN = 21
SET_UP = (
    "to set them up: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`,"
    " and install the package uidmap"
)
_MAPS = (("uid", "newuidmap", "/etc/subuid"), ("gid", "newgidmap", "/etc/subgid"))
_RESTRICTED = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


class Ids(Enum):
    """Which users and groups the files and steps of this process may have."""

    ALL = "all"
    SUBORDINATE = "subordinate"
    SINGLE = "single"


_problem = ""
"""Why there is no better user namespace, if there is not."""


def problem() -> str:
    """Why this process has only one id, or no user namespace at all; empty if all is well."""
    return _problem


def privileged() -> bool:
    """Whether this process may mount: as root, or in a user namespace that it owns."""
    status = Path("/proc/thread-self/status").read_text()
    effective = status[status.index("CapEff:") + 7 :].split(None, 1)[0]
    return bool(int(effective, 16) >> CAP_SYS_ADMIN & 1)


def ids() -> Ids:
    """The ids that there are now."""
    counts = [int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if sum(counts) >= 1 << 31:
        return Ids.ALL
    return Ids.SUBORDINATE if sum(counts) > 1 else Ids.SINGLE


def hint() -> str:
    """What to tell somebody whose step failed perhaps because there is only one id; empty if there are more."""
    return "" if ids() is not Ids.SINGLE else f"steps have one user only here: {_problem or 'no more ids'}; {SET_UP}"


def identity() -> str:
    """Which numbers the owners of files have on the disk: what one of these has written, another one misreads."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return ", ".join(" ".join(line.split()) for line in lines)


@cache
def mounts_sysfs() -> bool:
    """Whether /sys can be mounted anew: only by who owns the network that it shows."""
    works: list[bool] = []

    def attempt() -> None:
        try:
            unshare(CLONE_NEWNS)  # this thread's alone, and gone with it
            mount("none", "/", "", MS_REC | MS_PRIVATE)
            mount("sysfs", "/", "sysfs", 0)  # not on /sys: the same file system twice in one place is refused
            works.append(True)
        except OSError:
            works.append(False)

    thread = threading.Thread(target=attempt, name="sysfs")
    thread.start()
    thread.join()
    return works[0]


def enter() -> None:
    """Moves this process into a user namespace of its own, if it needs one. What keeps it from that is `problem()`."""
    global _problem
    if privileged():
        return
    if len(os.listdir("/proc/self/task")) > 1:
        _problem = "a process with several threads cannot enter a user namespace: open the engine first"
        return
    uid, gid = os.geteuid(), os.getegid()
    commands, _problem = _map_commands(uid, gid)
    helper = _start_helper(commands) if commands else None
    try:
        unshare(CLONE_NEWUSER)
    except OSError as error:
        _problem = f"the kernel allows no user namespace: {error.strerror}"
        if helper:
            helper.kill()
            helper.communicate()
        return
    if helper:
        _, said = helper.communicate(b"\n")
        if helper.returncode:
            _problem = said.decode(errors="replace").strip() or "the maps of ids could not be written"
            helper = None
    if not helper:
        _map_one(uid, gid)
    if not privileged():
        _problem = "the kernel gives no rights in a user namespace"
        if _RESTRICTED.exists():
            _problem += " (kernel.apparmor_restrict_unprivileged_userns is set)"


def _map_commands(uid: int, gid: int) -> tuple[list[list[str]], str]:
    """The commands that write the maps of this process, or why there are none."""
    import pwd
    import shutil

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return [], f"user {uid} has no name in /etc/passwd"
    commands = []
    for (_, program, file), own in zip(_MAPS, (uid, gid), strict=True):
        found = subordinate(Path(file), name, uid)
        if not found:
            return [], f"{file} has no ids for {name}"
        binary = shutil.which(program) or shutil.which(program, path="/usr/bin:/usr/sbin")
        if binary is None:
            return [], f"{program} is not installed"
        arguments, inside = ["0", str(own), "1"], 1
        for first, count in found:
            arguments += [str(inside), str(first), str(count)]
            inside += count
        commands.append([binary, str(os.getpid()), *arguments])
    return commands, ""


def subordinate(file: Path, name: str, uid: int) -> list[tuple[int, int]]:
    """The ranges (first, count) that a file like `/etc/subuid` gives a user. Lines that make no sense give none."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return []
    rows = (line.strip().split(":") for line in lines)
    return [
        (int(row[1]), int(row[2]))
        for row in rows
        if len(row) == 3 and row[0] in (name, str(uid)) and row[1].isdecimal() and row[2].isdecimal() and int(row[2])
    ]


def _start_helper(commands: list[list[str]]) -> subprocess.Popen[bytes]:
    """A process that stays outside and, told so, writes our maps: from inside nobody may give us more than one id."""
    import subprocess

    script = "read go; " + " && ".join(" ".join(command) for command in commands)
    pipe = subprocess.PIPE
    return subprocess.Popen(["/bin/sh", "-c", script], stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, env={})


def _map_one(uid: int, gid: int) -> None:
    """Makes this user root, and the only one. Who may not choose ids must first give up choosing groups."""
    for name, text in (("setgroups", "deny"), ("gid_map", f"0 {gid} 1"), ("uid_map", f"0 {uid} 1")):
        with suppress(PermissionError):  # written already, when only the other one of the two programs failed
            Path("/proc/self", name).write_text(text)

"""Steps of other architectures: whether this machine runs their programs, and how.

The kernel hands programs that it cannot run itself to an emulator that is registered for them (binfmt_misc). Where this
machine has one registered, nothing is to be done. Else an emulator that is merely installed (`qemu-ARCH-static`) is
registered in a user namespace that steps run in: since Linux 6.7 each may have handlers of its own, so the machine
is left as it is. An ordinary user's engine is in such a namespace already; root makes one, in which all ids are as
they are outside.

Format of a registration: Documentation/admin-guide/binfmt-misc.rst of the kernel. Machine numbers: elf.h.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import trio

from engine import platforms
from engine.errors import UnsupportedError
from engine.snapshots import namespace
from engine.snapshots.kernel import CLONE_NEWNS, CLONE_NEWUSER, MS_REC, MS_SLAVE, mount, unshare
from engine.snapshots.user_namespace import Ids, ids
from engine.values import frozen

HANDLERS = Path("/proc/sys/fs/binfmt_misc")
_ALL_IDS = "0 0 4294967294"
"""But the last one, which nobody has: with it, crun and runc would take this for the machine's own namespace."""
_READY = b"r"


@frozen
class Machine:
    """An architecture as qemu names it, and how its programs are recognised (ELF: bits, byte order, machine)."""

    qemu: str
    bits: int
    order: str
    number: int


MACHINES = {
    "386": Machine("i386", 32, "<", 3),
    "amd64": Machine("x86_64", 64, "<", 62),
    "arm": Machine("arm", 32, "<", 40),
    "arm64": Machine("aarch64", 64, "<", 183),
    "loong64": Machine("loongarch64", 64, "<", 258),
    "mips64": Machine("mips64", 64, ">", 8),
    "mips64le": Machine("mips64el", 64, "<", 8),
    "ppc64le": Machine("ppc64le", 64, "<", 21),
    "riscv64": Machine("riscv64", 64, "<", 243),
    "s390x": Machine("s390x", 64, ">", 22),
}
"""By their names in platforms."""
_NATIVE = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm")}


def is_native(architecture: str) -> bool:
    """Whether this machine's processor runs programs of an architecture."""
    mine = platforms.host().architecture
    return architecture in _NATIVE.get(mine, (mine,))


def emulators() -> dict[str, Path]:
    """The static emulators that are installed, by the architectures that need them here."""
    found = {}
    for architecture, machine in MACHINES.items():
        names = (f"qemu-{machine.qemu}-static", f"qemu-{machine.qemu}")
        path = next((path for name in names if (path := shutil.which(name))), None)
        if path and not is_native(architecture) and _is_static(Path(path)):
            found[architecture] = Path(path)
    return found


def registered() -> dict[str, str]:
    """Which of the architectures have an emulator that is registered here, and its name.

    Only those count that the kernel holds open (flag `F`): steps do not find others in their file systems.
    """
    found = {}
    for architecture, machine in MACHINES.items():
        for name in (f"qemu-{machine.qemu}", machine.qemu):
            try:
                lines = (HANDLERS / name).read_text().splitlines()
            except OSError:
                continue
            flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
            if lines[:1] == ["enabled"] and "F" in flags:
                found[architecture] = name
    return found


def namespace_for(architecture: str) -> int | None:
    """The user namespace (a descriptor) in which programs of an architecture run; None if they run as it is.

    Raises:
        UnsupportedError: if they do not run here.
    """
    if is_native(architecture):
        return None
    if architecture not in registered():
        if architecture not in emulators():
            name = MACHINES[architecture].qemu if architecture in MACHINES else architecture
            raise UnsupportedError(
                f"this machine cannot run steps of linux/{architecture}: there is no emulator for it",
                hint=f"install the package qemu-user-static, which has qemu-{name}-static",
            )
        return _prepared()
    return None


async def emulating(architecture: str) -> int | None:
    """The same without holding up others: to prepare it may take a tenth of a second, once. Empty: this machine's."""
    if not architecture or is_native(architecture):
        return None
    return await trio.to_thread.run_sync(namespace_for, architecture)


@cache
def _prepared() -> int | None:
    """Registers all emulators that are installed: in this process's user namespace if it has one, else in a new one."""
    try:
        if ids() is not Ids.ALL:
            namespace.enter()
            register(emulators())
            return None
        return _new_namespace()
    except (OSError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it could not be prepared"
        raise UnsupportedError(
            f"emulators cannot be registered for steps: {reason}",
            hint="this needs Linux 6.7; else install binfmt-support, which registers them for the whole machine",
        ) from error


def register(found: dict[str, Path]) -> None:
    """Registers emulators in this process's user namespace, for as long as the mount that it makes for it lasts.

    Raises OSError.
    """
    mount("binfmt_misc", HANDLERS, "binfmt_misc")
    for architecture, path in found.items():
        (HANDLERS / "register").write_bytes(registration(MACHINES[architecture], path))


def registration(machine: Machine, path: Path) -> bytes:
    """What the kernel is told: which programs are meant, and that it opens the emulator now and keeps it (`F`).

    `O` and `C`: it hands on the open program, which may be unreadable, and judges rights by the program. `P`: the
    program gets the name that it was called by, which is all that a program of many names has to go by (QEMU 6).
    """
    ident = b"\x7fELF" + bytes([machine.bits // 32, 1 if machine.order == "<" else 2, 1]) + bytes(9)
    magic = ident + struct.pack(f"{machine.order}HH", 2, machine.number)
    # Not compared: the ABI, and the lowest bit of the type, which tells fixed from movable programs (2 and 3).
    mask = b"\xff" * 7 + b"\0" + b"\xff" * 8 + struct.pack(f"{machine.order}HH", 0xFFFE, 0xFFFF)
    escaped = ("".join(f"\\x{byte:02x}" for byte in part) for part in (magic, mask))
    return f":qemu-{machine.qemu}:M:0:{':'.join(escaped)}:{path}:POCF".encode()


def _new_namespace() -> int:
    """A process makes it and may end then: what is held open here keeps the namespace and its handlers alive."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from engine.sandbox import emulation; emulation.hold()"
    command = [sys.executable, "-I", "-S", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        if keeper.stdout.read(1) != _READY:
            raise subprocess.SubprocessError
        for kind in ("uid", "gid"):
            Path(f"/proc/{keeper.pid}/{kind}_map").write_text(_ALL_IDS)
        keeper.stdin.write(_READY)
        keeper.stdin.flush()
        if keeper.stdout.read(1) != _READY:
            raise subprocess.SubprocessError
        os.open(f"/proc/{keeper.pid}/root{HANDLERS}/status", os.O_RDONLY | os.O_CLOEXEC)  # never closed: see above
        return os.open(f"/proc/{keeper.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def hold() -> None:
    """The process behind `_new_namespace`: talks to it over stdin and stdout."""
    found = emulators()
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    os.write(1, _READY)
    os.read(0, 1)
    mount("none", "/", "", MS_REC | MS_SLAVE)
    register(found)
    os.write(1, _READY)
    os.read(0, 1)


def _is_static(path: Path) -> bool:
    """Whether a program names no interpreter (PT_INTERP): it then runs in any file system."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    if head[:5] != b"\x7fELF\x02":
        return False
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    kinds = (struct.unpack_from("<I", head, offset + number * size)[0] for number in range(count))
    return offset + size * count <= len(head) and 3 not in kinds

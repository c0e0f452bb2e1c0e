"""Programs that are nothing but a list of system calls: what a process must do itself before a step's program begins.

Namespaces, mounts, groups, users, limits, capabilities: they must be changed by the process that shall have them so,
and the root file system of a step holds no tool that could do it. Python cannot be that process: to fork it is slow,
and unsafe beside threads. So Python writes down the *list of system calls* to make, ending in `execve`, and puts before
it an ELF header and a score of instructions that make one call after the other. The result is a program of a few
kilobytes in a memory file: nothing of it is on a disk, and a fork of it copies next to nothing.

    loop:  load number and six arguments from the table;  system call;  next row
           if it gave more than 0: skip as many rows as the row says (the parent's way after a fork);  loop
           if it failed and the row has an exit code: exit with that;  else loop

Besides the file there is a page of memory for what calls give back: `SCRATCH`.

ELF: System V ABI, chapters 4 and 5. Call numbers: `asm/unistd_64.h` and `asm-generic/unistd.h` of Linux.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from engine.errors import UnsupportedError
from engine.values import frozen

_BASE = 0x400000
_HEADERS = 64 + 2 * 56
_ROW = struct.Struct("<7QII")
_REST = [(0,) * (6 - given) for given in range(7)]
_WORD = (1 << 64) - 1
_PAGE = 0x10000
"""The largest that there is."""
SCRATCH = 0x40000000
"""The address of memory that calls may write to, zero at first; each process has its own."""


@frozen
class Machine:
    """A processor architecture: its ELF number, the loop, and its call numbers."""

    elf: int
    loop: bytes
    """Made for a table that begins right behind it."""
    calls: dict[str, int]


_X86_64 = Machine(
    elf=62,
    loop=bytes.fromhex(
        "488d2d41000000"  # lea rbp, [rip + 0x41]: the table
        "488b4500 488b7d08 488b7510 488b5518"  # mov rax/rdi/rsi/rdx, [rbp + …]
        "4c8b5520 4c8b4528 4c8b4d30"  # mov r10/r8/r9, [rbp + …]
        "0f05"  # syscall
        "8b7d38 8b753c 4883c540"  # mov edi, [rbp + 56]; mov esi, [rbp + 60]; add rbp, 64
        "4885c0 74d3 7805"  # test rax, rax; jz: next row; js: failed
        "4801f5 ebcc"  # add rbp, rsi; next row
        "85ff 74c8"  # failed: test edi, edi; jz: next row
        "b8e7000000 0f05 0f0b"  # mov eax, exit_group; syscall; ud2
    ),
    calls={
        "write": 1, "execve": 59, "chdir": 80, "umask": 95, "setgroups": 116, "setresuid": 117, "setresgid": 119,
        "capset": 126, "prctl": 157, "mount": 165, "exit_group": 231, "unlinkat": 263, "prlimit64": 302, "seccomp": 317,
        "close_range": 436, "dup3": 292, "close": 3, "openat": 257, "ioctl": 16, "setsid": 112, "setns": 308,
        "clone": 56, "wait4": 61, "mkdirat": 258, "mknodat": 259, "symlinkat": 266, "mount_setattr": 442,
        "pivot_root": 155, "umount2": 166, "sethostname": 170, "socket": 41, "open_tree": 428, "move_mount": 429,
    },
)  # fmt: skip

_AARCH64 = Machine(
    elf=183,
    loop=struct.pack(
        "<20I",
        0x10000293,  # adr x19, +80: the table
        0xF9400268, 0xF9400660, 0xF9400A61, 0xF9400E62, 0xF9401263, 0xF9401664, 0xF9401A65,  # ldr x8, x0 … x5
        0xD4000001,  # svc
        0xB9403A69, 0xB9403E6A, 0x91010273,  # ldr w9, [x19, 56]; ldr w10, [x19, 60]; add x19, x19, 64
        0xB4FFFEA0, 0xB7F80060,  # cbz x0: next row; tbnz x0, 63: failed
        0x8B0A0273, 0x17FFFFF2,  # add x19, x19, x10; next row
        0x34FFFE29,  # failed: cbz w9: next row
        0xAA0903E0, 0xD2800BC8, 0xD4000001,  # mov x0, x9; mov x8, exit_group; svc
    ),
    calls={
        "unlinkat": 35, "mount": 40, "chdir": 49, "write": 64, "capset": 91, "exit_group": 94, "setresuid": 147,
        "setresgid": 149, "setgroups": 159, "umask": 166, "prctl": 167, "execve": 221, "prlimit64": 261, "seccomp": 277,
        "close_range": 436, "dup3": 24, "close": 57, "openat": 56, "ioctl": 29, "setsid": 157, "setns": 268,
        "clone": 220, "wait4": 260, "mkdirat": 34, "mknodat": 33, "symlinkat": 36, "mount_setattr": 442,
        "pivot_root": 41, "umount2": 39, "sethostname": 161, "socket": 198, "open_tree": 428, "move_mount": 429,
    },
)  # fmt: skip

MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
"""Those whose system calls are known, by the names that uname(2) has for them."""


@frozen
class Words:
    """An array of 64-bit words in memory; bytes in it stand for their address."""

    items: tuple[int | bytes, ...]


Argument = int | bytes | str | Words
"""A number, or the address of bytes, of a text with its ending zero, or of words."""


def strings(texts: Sequence[str]) -> Words:
    """An `argv` or `envp`."""
    return Words((*(os.fsencode(text) + b"\0" for text in texts), 0))


class Launcher:
    """A list of system calls to be made one after the other."""

    def __init__(self, machine: str = "") -> None:
        """For this machine's architecture, or another one. Raises UnsupportedError where there is no loop for it."""
        name = machine or os.uname().machine
        if name not in MACHINES:
            raise UnsupportedError(
                f"steps cannot be started on {name}", hint="bakery knows the system calls of x86_64 and aarch64 only"
            )
        self._machine = MACHINES[name]
        self._rows: list[tuple[str, tuple[Argument, ...], int]] = []
        self._skips: dict[int, int] = {}

    def call(self, name: str, *arguments: Argument, failure: int = 0) -> None:
        """Adds a call; if it fails, the process ends with the exit code `failure`, or goes on if that is 0.

        Arguments that are left out are 0.
        """
        self._rows.append((name, arguments, failure))

    def fork(self, flags: int, failure: int) -> int:
        """Adds a `clone`. The child goes on with the next call, the parent where `parent(fork)` is called."""
        self.call("clone", flags, failure=failure)
        return len(self._rows) - 1

    def parent(self, fork: int) -> None:
        """What is added from now on is for the parent: the child's calls end in `execve` or `exit_group`."""
        self._skips[fork] = _ROW.size * (len(self._rows) - fork - 1)

    def program(self) -> bytes:
        """The ELF file."""
        data = _Data(_HEADERS + len(self._machine.loop) + _ROW.size * len(self._rows))
        calls, place, skips = self._machine.calls, data.place, self._skips
        table = [
            _ROW.pack(calls[name], *map(place, arguments), *_REST[len(arguments)], failure, skips.get(number, 0))
            for number, (name, arguments, failure) in enumerate(self._rows)
        ]
        image = b"".join([self._machine.loop, *table, data.content])
        return _elf(self._machine.elf, _HEADERS + len(image)) + image

    def memory_file(self) -> int:
        """The program as an open file in memory, to be run as `/proc/self/fd/N`; the caller closes it."""
        fd = os.memfd_create("step", os.MFD_CLOEXEC)
        try:
            os.write(fd, self.program())
        except BaseException:
            os.close(fd)
            raise
        return fd


class _Data:
    """What the arguments point to, behind the table."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self.content = bytearray()

    def place(self, argument: Argument) -> int:
        if isinstance(argument, int):
            return argument & _WORD
        if isinstance(argument, str):
            return self._put(os.fsencode(argument) + b"\0")
        if isinstance(argument, bytes):
            return self._put(argument)
        words = [self.place(item) for item in argument.items]
        return self._put(struct.pack(f"<{len(words)}Q", *words))

    def _put(self, data: bytes) -> int:
        self.content += bytes(-(self._offset + len(self.content)) % 8)
        address = _BASE + self._offset + len(self.content)
        self.content += data
        return address


def _elf(machine: int, size: int) -> bytes:
    """The header of a static executable with two segments: the file, readable and executable, and a page of memory."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    file = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, _PAGE)
    scratch = struct.pack("<IIQQQQQQ", 1, 6, 0, SCRATCH, SCRATCH, 0, _PAGE, _PAGE)
    return ident + header + file + scratch

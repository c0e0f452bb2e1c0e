"""The system calls that a step may not make, as a filter for the kernel.

Docker's profile lists what is allowed; what it refuses to a process with the default capabilities comes to the list
here. A list of the refused ones ages better: a call that a new kernel brings is guarded by capabilities anyway.

Source: the profile in `profiles/seccomp` of moby. Filter programs: `linux/bpf_common.h`, `linux/seccomp.h`.
"""

from __future__ import annotations

import errno
import struct
from functools import cache

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16
_NAMESPACES = 0x7E020000
"""All CLONE_NEW* flags."""
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
_X32 = 0x40000000
_AF_VSOCK = 40

_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "quotactl_fd": 443,
    "set_mempolicy_home_node": 450,
}  # fmt: skip

_X86_64 = {
    "acct": 163, "add_key": 248, "bpf": 321, "clock_adjtime": 305, "clock_settime": 227, "create_module": 174,
    "delete_module": 176, "fanotify_init": 300, "finit_module": 313, "get_kernel_syms": 177, "get_mempolicy": 239,
    "init_module": 175, "ioperm": 173, "iopl": 172, "kcmp": 312, "kexec_file_load": 320, "kexec_load": 246,
    "keyctl": 250, "lookup_dcookie": 212, "mbind": 237, "migrate_pages": 256, "mount": 165, "move_pages": 279,
    "nfsservctl": 180, "open_by_handle_at": 304, "perf_event_open": 298, "pivot_root": 155, "query_module": 178,
    "quotactl": 179, "reboot": 169, "request_key": 249, "set_mempolicy": 238, "setdomainname": 171, "sethostname": 170,
    "setns": 308, "settimeofday": 164, "swapoff": 168, "swapon": 167, "_sysctl": 156, "sysfs": 139, "syslog": 103,
    "umount2": 166, "unshare": 272, "uselib": 134, "userfaultfd": 323, "ustat": 136, "vhangup": 153,
}  # fmt: skip

_I386 = {
    "acct": 51, "add_key": 286, "bpf": 357, "clock_adjtime": 343, "clock_adjtime64": 405, "clock_settime": 264,
    "clock_settime64": 404, "create_module": 127, "delete_module": 129, "fanotify_init": 338, "finit_module": 350,
    "get_kernel_syms": 130, "get_mempolicy": 275, "init_module": 128, "ioperm": 101, "iopl": 110, "kcmp": 349,
    "kexec_load": 283, "keyctl": 288, "lookup_dcookie": 253, "mbind": 274, "migrate_pages": 294, "mount": 21,
    "move_pages": 317, "nfsservctl": 169, "open_by_handle_at": 342, "perf_event_open": 336, "pivot_root": 217,
    "query_module": 167, "quotactl": 131, "reboot": 88, "request_key": 287, "set_mempolicy": 276, "setdomainname": 121,
    "sethostname": 74, "setns": 346, "settimeofday": 79, "stime": 25, "swapoff": 115, "swapon": 87, "_sysctl": 149,
    "sysfs": 135, "syslog": 103, "umount": 22, "umount2": 52, "unshare": 310, "uselib": 86, "userfaultfd": 374,
    "ustat": 62, "vhangup": 111, "vm86": 166, "vm86old": 113,
}  # fmt: skip

_AARCH64 = {
    "acct": 89, "add_key": 217, "bpf": 280, "clock_adjtime": 266, "clock_settime": 112, "delete_module": 106,
    "fanotify_init": 262, "finit_module": 273, "get_mempolicy": 236, "init_module": 105, "kcmp": 272,
    "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219, "lookup_dcookie": 18, "mbind": 235, "migrate_pages": 238,
    "mount": 40, "move_pages": 239, "nfsservctl": 42, "open_by_handle_at": 265, "perf_event_open": 241,
    "pivot_root": 41, "quotactl": 60, "reboot": 142, "request_key": 218, "set_mempolicy": 237, "setdomainname": 162,
    "sethostname": 161, "setns": 268, "settimeofday": 170, "swapoff": 225, "swapon": 224, "syslog": 116, "umount2": 39,
    "unshare": 97, "userfaultfd": 282, "vhangup": 58,
}  # fmt: skip

_ARM = {
    "acct": 51, "add_key": 309, "bpf": 386, "clock_settime": 262, "delete_module": 129, "finit_module": 379,
    "init_module": 128, "kexec_load": 347, "keyctl": 311, "mount": 21, "open_by_handle_at": 371,
    "perf_event_open": 364, "pivot_root": 218, "quotactl": 131, "reboot": 88, "request_key": 310, "setdomainname": 121,
    "sethostname": 74, "setns": 375, "settimeofday": 79, "swapoff": 115, "swapon": 87, "syslog": 103, "umount2": 52,
    "unshare": 337, "userfaultfd": 388,
}  # fmt: skip

# By audit architecture: refused calls, then clone, personality and socket, whose arguments decide.
_ARCHITECTURES = {
    "x86_64": {0xC000003E: (_X86_64, 56, 135, 41), 0x40000003: (_I386, 120, 136, 359)},
    "aarch64": {0xC00000B7: (_AARCH64, 220, 92, 198), 0x40000028: (_ARM, 120, 136, 281)},
}
_CLONE3 = 435


@cache
def filter_program(machine: str) -> bytes:
    """The filter for a machine and its 32-bit programs, as the kernel takes it; any other architecture is refused."""
    program = [_statement(_LOAD, _ARCH)]
    for audit, (refused, clone, personality, socket) in _ARCHITECTURES[machine].items():
        section = _section({**refused, **_EVERYWHERE}, clone, personality, socket, x32=audit == 0xC000003E)
        # Jumps reach 255 instructions at most, so the way around a section is an unconditional one.
        program += [_jump(_EQUAL, audit, 1, 0), _statement(0x05, len(section)), *section]
    program.append(_refuse(errno.ENOSYS))
    return b"".join(program)


def _section(refused: dict[str, int], clone: int, personality: int, socket: int, *, x32: bool) -> list[bytes]:
    lines = [_statement(_LOAD, _NUMBER)]
    if x32:
        lines += [_jump(_AT_LEAST, _X32, 0, 1), _refuse(errno.ENOSYS)]
    for number in sorted(refused.values()):
        lines += [_jump(_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    # glibc tries clone3 first, whose flags a filter cannot see, and takes clone where there is none.
    lines += [_jump(_EQUAL, _CLONE3, 0, 1), _refuse(errno.ENOSYS)]
    lines += _if_call(clone, [_jump(_ANY_BIT, _NAMESPACES, 0, 1), _refuse(errno.EPERM)])
    lines += _if_call(socket, [_jump(_EQUAL, _AF_VSOCK, 0, 1), _refuse(errno.EPERM)])
    known = len(_PERSONALITIES)
    allowed = [_jump(_EQUAL, value, known - at, 0) for at, value in enumerate(_PERSONALITIES)]
    lines += _if_call(personality, [*allowed, _refuse(errno.EPERM)])
    return [*lines, _statement(_RETURN, _ALLOW)]


def _if_call(number: int, body: list[bytes]) -> list[bytes]:
    """Runs `body` on the first argument if it is this call; what falls out of it is allowed."""
    inside = [_statement(_LOAD, _ARGUMENT), *body, _statement(_RETURN, _ALLOW)]
    return [_jump(_EQUAL, number, 0, len(inside)), *inside]


def _statement(code: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _statement(_RETURN, _ERRNO | number)

"""Steps made by the kernel alone: a program that is a list of system calls, and no other program.

Three processes, each the child of the one before, all from one small file in memory (`launcher`):

    watcher    the engine's child: enters user namespace and control groups, dies with the engine, waits for the guard
    guard      process 1 of a PID namespace; waits for the step and reports how it ended
    step       process 1 of a PID namespace within that one, with namespaces of its own; becomes the step's program

A step can keep the kernel from telling it of its parent's death: by prctl(2), and by running a set-user-ID program.
The guard runs nothing but this file and has all rights, so it dies with the watcher, and nothing in its namespace lives
longer than it does. So nothing of a step outlives the engine, whatever the step is.

Kernel documentation: pid_namespaces(7), PR_SET_PDEATHSIG(2const), mount_setattr(2) (Linux 5.12).
"""

from __future__ import annotations

import os
import re
import signal
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import trio

from engine.errors import StepError, UnsupportedError
from engine.events import Stream
from engine.llb.ops import NetMode
from engine.sandbox import emulation, hooks, launcher, process
from engine.sandbox.calls import StepCalls
from engine.sandbox.cgroups import is_unified, within_limits
from engine.sandbox.contract import Exit, Output, Step
from engine.sandbox.entry import NOT_EXECUTABLE, RUNNING, entered, not_executable
from engine.sandbox.file_system import make_file_system
from engine.snapshots import user_namespace
from engine.snapshots.kernel import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER

# linux/sched.h
_NEWCGROUP, _NEWUTS, _NEWIPC, _NEWPID = 0x02000000, 0x04000000, 0x08000000, 0x20000000
_STATUS = struct.Struct("<i")
"""How a process has ended, as wait4(2) gives it."""
_OLDEST = (5, 12)
_ANY_CHILD = -1
_ENOUGH = 64


class Native:
    """The default runtime: no program is needed, and set-user-ID programs have their rights, as with BuildKit."""

    name = "native"

    async def run(self, step: Step, root: Path, output: Output) -> Exit:
        """Runs a step; see `Runtime.run`."""

        async def run(groups: Sequence[int]) -> Exit:
            return await _run(step, root, output, groups)

        hooks.refuse(step.hooks, self.name)
        return await within_limits(step, output, run)


def check_support() -> None:
    """Raises UnsupportedError where the kernel is too old, or the processor one whose system calls are not known."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if release is None or (int(release[1]), int(release[2])) < _OLDEST:
        raise UnsupportedError(
            f"the runtime `native` needs Linux {_OLDEST[0]}.{_OLDEST[1]}, and this is {os.uname().release}",
            hint="install bubblewrap, and use --runtime=bubblewrap",
        )
    launcher.Launcher()


async def _run(step: Step, root: Path, output: Output, groups: Sequence[int]) -> Exit:
    """`groups` are open files that join a control group."""
    emulating = await emulation.emulating(step.architecture)
    listener = process.Listener(output)
    with ExitStack() as files:
        status, status_end = process.pipe(files)
        calls = _calls(step, root, status_end.fileno(), emulating, groups)
        program = calls.memory_file()
        files.callback(os.close, program)

        async def find_init(watcher: int) -> int | None:
            await trio.lowlevel.wait_readable(status.fileno())  # the step is there, or has failed to be
            return next((step for guard in process.children(watcher) for step in process.children(guard)), None)

        inherited = [program, status_end.fileno(), *groups]
        inherited += [fd for fd in (emulating, step.private_network) if fd is not None]
        path = f"/proc/self/fd/{program}"
        command = process.Command(["bakery-step"], files=inherited, executable=path, terminal=step.terminal)
        code = await process.run(command, listener, find_init, status_end.close)
        ended = _Ending(code, status.read(_ENOUGH) or b"")
    if not ended.reached:
        problem = calls.problem(ended.code) or listener.said or ended.code
        raise StepError(f"the sandbox could not be set up: {problem}", hint=user_namespace.hint())
    if ended.not_executable:
        output(Stream.STDERR, not_executable(step))
    return Exit(ended.code if ended.code >= 0 else 128 - ended.code)


class _Ending:
    """What the three processes have reported: the step its beginning, the guard its end, the watcher the guard's."""

    def __init__(self, watcher: int, said: bytes) -> None:
        rest, guard = _last(said)
        said, step = _last(rest)
        self.reached = said.startswith(RUNNING)
        self.not_executable = said.endswith(NOT_EXECUTABLE)
        codes = [code for code in (watcher, guard, step) if code]
        self.code: int = codes[0] if codes else 0
        """The exit code, negative for a signal: of the first of them that did not do its duty, else of the step."""


def _last(said: bytes) -> tuple[bytes, int | None]:
    """What was said before the last report of an end, and the exit code there; None if nobody has reported."""
    if len(said) < _STATUS.size:
        return said, None
    (status,) = _STATUS.unpack(said[-_STATUS.size :])
    return said[: -_STATUS.size], os.waitstatus_to_exitcode(status)


def _calls(step: Step, root: Path, status: int, emulating: int | None, groups: Sequence[int]) -> StepCalls:
    """Everything from the start of the watcher on. `status` is the number of the status pipe in the new processes.

    Raises:
        StepError: for a limit that does not exist.
        UnsupportedError: on a machine without a launcher.
    """
    calls = StepCalls(status)
    if step.private_network is not None:  # first: it belongs to our user namespace, and not to the one for emulation
        calls.must("cannot enter the step's network", "setns", step.private_network, CLONE_NEWNET)
    if emulating is not None:
        calls.must("cannot enter the user namespace for emulation", "setns", emulating, CLONE_NEWUSER)
    calls.die_with_parent()
    for group in groups:
        calls.must("cannot join a control group", "write", group, "0", 1)
    guard = calls.fork("cannot make a PID namespace", _NEWPID | signal.SIGCHLD)
    calls.die_with_parent()
    namespaces = CLONE_NEWNS | _NEWUTS | _NEWIPC | _NEWPID
    if step.network is NetMode.NONE:
        namespaces |= CLONE_NEWNET
    if is_unified():
        namespaces |= _NEWCGROUP
    init = calls.fork("cannot make namespaces", namespaces | signal.SIGCHLD)
    calls.die_with_parent()
    seen_here = step.private_network is not None or user_namespace.mounts_sysfs()
    own_sys = step.network is NetMode.NONE or (emulating is None and seen_here)
    calls.must("cannot set the host name", "sethostname", step.hostname, len(os.fsencode(step.hostname)))
    if step.network is NetMode.NONE:
        calls.raise_loopback()
    make_file_system(calls, step, root, own_sys)
    entered(calls, step)
    for fork in (init, guard):
        calls.parent(fork)
        calls.must("cannot wait", "wait4", _ANY_CHILD, launcher.SCRATCH, 0, 0)
        calls.report(launcher.SCRATCH, _STATUS.size)
        calls.must("cannot end", "exit_group", 0)
    return calls

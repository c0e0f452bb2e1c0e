"""Steps in bubblewrap: its namespaces and mounts, and a launcher of our own for what it does not know."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import trio

from engine.errors import StepError, UnsupportedError
from engine.events import Stream
from engine.llb.ops import NetMode, SecurityMode
from engine.sandbox import emulation, hooks, process
from engine.sandbox.cgroups import within_limits
from engine.sandbox.contract import BindMount, Exit, Output, Step, TmpfsMount
from engine.sandbox.defaults import SHM_SIZE
from engine.sandbox.entry import NOT_EXECUTABLE, entry, joined, not_executable
from engine.sandbox.file_system import device_nodes
from engine.snapshots import user_namespace
from engine.snapshots.user_namespace import Ids

_INFO = 4096
"""Bytes, more than bwrap tells."""
_CHILD = re.compile(rb'"child-pid": (\d+)')


class Bubblewrap:
    """Runs steps with `bwrap`: a few milliseconds a step, no daemon, nothing on disk."""

    name = "bubblewrap"

    def __init__(self, binary: Path) -> None:
        self._binary = str(binary)

    async def run(self, step: Step, root: Path, output: Output) -> Exit:
        """Runs a step; see `Runtime.run`.

        All processes of the step have `no_new_privs`, for bubblewrap knows no other way: set-user-ID programs, such as
        sudo in the hands of an ordinary user, give no privileges. An OCI runtime does without it, as BuildKit does.
        """

        async def run(groups: Sequence[int]) -> Exit:
            return await self._run(step, root, output, groups)

        hooks.refuse(step.hooks, self.name)
        _check_places(step.mounts)
        return await within_limits(step, output, run)

    async def _run(self, step: Step, root: Path, output: Output, groups: Sequence[int]) -> Exit:
        """`groups` are open files that join a control group."""
        emulating = await emulation.emulating(step.architecture)
        listener = process.Listener(output)
        with ExitStack() as files:
            info, info_end = process.pipe(files)
            status, status_end = process.pipe(files)

            def started() -> None:
                info_end.close()
                status_end.close()

            async def find_init(_: int) -> int | None:
                await trio.lowlevel.wait_readable(info.fileno())
                # Not yet whole JSON, perhaps: what follows is written when the step's namespaces are there.
                found = _CHILD.search(info.read(_INFO) or b"")
                return int(found[1]) if found else None

            confined = emulating is not None or user_namespace.ids() is not Ids.ALL
            private = step.private_network
            seen_here = private is not None or user_namespace.mounts_sysfs()
            own_sys = step.network is NetMode.NONE or (emulating is None and seen_here)
            program = entry(step, status_end.fileno(), own_sys)
            launcher = program.memory_file()
            files.callback(os.close, launcher)
            args = [
                self._binary,
                *(("--userns", str(emulating)) if emulating is not None else ()),
                *_arguments(step, root, info_end.fileno(), confined),
                "--",
                f"/proc/self/fd/{launcher}",
            ]
            inherited = [
                launcher,
                status_end.fileno(),
                info_end.fileno(),
                *([emulating] if emulating is not None else []),
            ]
            binder = None
            if groups or private is not None:
                joining = joined(args, groups, private).memory_file()
                files.callback(os.close, joining)
                inherited += [joining, *groups, *([private] if private is not None else [])]
                binder = f"/proc/self/fd/{joining}"
            command = process.Command(args, files=inherited, executable=binder, terminal=step.terminal)
            code = await process.run(command, listener, find_init, started)
            reached = status.read(16) or b""
        if not reached:
            problem = listener.said or program.problem(code) or code
            raise StepError(f"the sandbox could not be set up: {problem}", hint=user_namespace.hint())
        if reached.endswith(NOT_EXECUTABLE):
            output(Stream.STDERR, not_executable(step))
        return Exit(code if code >= 0 else 128 - code)


def _check_places(mounts: Sequence[BindMount | TmpfsMount]) -> None:
    """bwrap makes the places of mounts while this machine's files are still there, and follows links to them.

    So a step that swaps a folder of a shared cache for a link at the right moment would have a folder made outside.
    """
    shared = [mount.dest for mount in mounts if isinstance(mount, BindMount) and mount.is_shared]
    for mount in mounts:
        outer = next((dest for dest in shared if mount.dest.startswith(f"{dest.rstrip('/')}/")), None)
        if outer is not None:
            raise UnsupportedError(
                f"bubblewrap cannot mount on {mount.dest}, in the shared cache at {outer}: a link may be laid there",
                hint="use --runtime=native, or sharing=locked for the cache",
            )


def _arguments(step: Step, root: Path, info: int, confined: bool) -> Iterator[str]:
    insecure = step.security is SecurityMode.INSECURE
    yield from ("--die-with-parent", "--as-pid-1", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
    yield from ("--hostname", step.hostname, "--info-fd", str(info))
    # All for the launcher, which gives away what the step may not have.
    yield from ("--cap-add", "ALL")
    if step.network is NetMode.NONE:
        yield "--unshare-net"
    # bwrap's `--bind` allows no device nodes (nodev), so the nodes that a step may make lead nowhere.
    yield from ("--dev-bind" if insecure else "--bind", str(root), "/")
    yield from ("--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue")
    yield from ("--perms", "1777", "--size", str(SHM_SIZE), "--tmpfs", "/dev/shm")
    if confined:
        # Either it stays, or it is covered: in a user namespace /sys can be mounted only where one is seen already.
        yield from ("--bind" if insecure else "--ro-bind", "/sys", "/sys")
    if insecure:
        for device in device_nodes():
            yield from ("--dev-bind", device, device)
    for mount in step.mounts:
        yield from _mount(mount)
    if step.readonly_root:
        yield from ("--remount-ro", "/")


def _mount(mount: BindMount | TmpfsMount) -> Iterator[str]:
    if isinstance(mount, BindMount) and mount.is_node:
        yield from ("--dev-bind", str(mount.source), mount.dest)
        return
    if isinstance(mount, BindMount):
        # Always nosuid and nodev; `noexec` stays where the source has it.
        yield from ("--ro-bind" if mount.readonly else "--bind", str(mount.source), mount.dest)
        return
    yield from ("--perms", f"{mount.mode:o}")
    if mount.size:
        yield from ("--size", str(mount.size))
    yield from ("--tmpfs", mount.dest)

"""The one place where a step starts and dies, as a contract that the runtimes implement alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.events import Stream
from engine.llb.ops import LinuxResources, NetMode, SecurityMode, Ulimit
from engine.values import frozen

Output = Callable[[Stream, bytes], None]
"""Takes what a step writes, as it comes. Called in the engine's thread; returns at once."""


UNKNOWN = -1
"""A limit that somebody else has set."""


OPEN_TO_ALL = 0o1777
"""The mode of /tmp."""


@frozen
class BindMount:
    """A file or folder of this machine, shown at `dest` in the step."""

    source: Path
    dest: str
    readonly: bool = True
    nosuid: bool = False
    nodev: bool = False
    noexec: bool = False
    is_shared: bool = False
    """Other steps may write to it meanwhile: what its folders lead to now need not be so a moment later."""
    is_node: bool = False
    """A device node that can be opened, whatever other nodes can."""


@frozen
class TmpfsMount:
    """An empty file system in memory; `size` in bytes, 0 for no limit. Its folder has the mode `mode`."""

    dest: str
    size: int = 0
    mode: int = OPEN_TO_ALL


@frozen
class Hook:
    """A program of this machine for a moment of a step's life (`engine.sandbox.hooks`); `timeout` in seconds, or 0."""

    moment: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int = 0


@frozen
class Step:
    """A process to run: all names resolved, nothing left to look up. `env` holds `NAME=value`."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    hostname: str = "buildkitsandbox"
    network: NetMode = NetMode.UNSET
    private_network: int | None = None
    """An open network namespace to run in (`engine.sandbox.private_network`); None for what `network` says."""
    security: SecurityMode = SecurityMode.SANDBOX
    ulimits: tuple[Ulimit, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    resources: LinuxResources | None = None
    cgroup_parent: str = ""
    hooks: tuple[Hook, ...] = ()
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    """In the order in which they are made; parents before what lies in them."""
    readonly_root: bool = False
    architecture: str = ""
    """That of its programs, as in platforms; empty for this machine's."""
    terminal: int | None = None
    """A terminal of this machine that becomes the step's: its input, its output, and where its signals come from."""


@frozen
class Exit:
    """How a step ended: its exit code, 128 + N when signal N ended it."""

    code: int
    memory_limit: int = 0
    """Bytes of memory, or `UNKNOWN`, where the kernel has ended one of its processes for wanting more; else 0."""


class Runtime(Protocol):
    """Runs steps. Nothing of the host is visible in one but what the step's mounts show."""

    @property
    def name(self) -> str:
        """As `--runtime` takes it: `native`, `bubblewrap`, `crun`, `runc`."""
        ...

    async def run(self, step: Step, root: Path, output: Output) -> Exit:
        """Runs a step on a mounted root file system and returns when it and all its children are gone.

        Cancelled: SIGTERM, after a grace period SIGKILL, and no process is left. /proc, /dev, /sys and the places of
        the step's mounts must be there in the root (`engine.snapshots.mount_points`), and no part of them a symbolic
        link. A program that cannot be executed ends with exit code 1 and a word in the output.

        Raises:
            UnsupportedError: where this machine cannot do what the step asks for.
            StepError: where the sandbox cannot be set up.
        """
        ...

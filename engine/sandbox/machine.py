"""What this machine can do for builds: who we are here, what runs steps, for which platforms, on which file system."""

from __future__ import annotations

import os
import shutil
import subprocess

from engine import platforms
from engine.errors import UnsupportedError
from engine.sandbox import emulation
from engine.sandbox.native import check_support
from engine.sandbox.runtimes import NAMES, find_binary
from engine.snapshots import user_namespace
from engine.snapshots.store import SnapshotStore
from engine.snapshots.user_namespace import Ids
from engine.state import State
from engine.values import frozen

_PATIENCE = 5.0


@frozen
class RuntimeFacts:
    """A runtime of steps: where its program is, or `kernel` if it needs none. Both empty if it cannot be used here."""

    name: str
    path: str
    version: str


@frozen
class PlatformFacts:
    """A platform whose steps run here, and what runs them: `native`, `registered`, or the path of an emulator."""

    platform: str
    how: str


@frozen
class Machine:
    """What was found. `users` says which user ids steps may have, `why_not` why not all that could be."""

    system: str
    kernel: str
    architecture: str
    cores: int
    memory: int
    users: str
    why_not: str
    runtimes: tuple[RuntimeFacts, ...]
    platforms: tuple[PlatformFacts, ...]
    root: str
    free: int
    snapshots: str
    """`overlay`, or `copy` where the kernel refuses overlay mounts on the root's file system."""


def inspect_machine(state: State) -> Machine:
    """Looks at this machine; `state` is the state folder that builds would use. Changes nothing."""
    system = os.uname()
    store = SnapshotStore(state)
    try:
        return Machine(
            system=system.sysname,
            kernel=system.release,
            architecture=system.machine,
            cores=os.cpu_count() or 1,
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            users=_users(),
            why_not=user_namespace.problem(),
            runtimes=tuple(_runtime(name) for name in NAMES),
            platforms=tuple(_platforms()),
            root=str(state.root),
            free=shutil.disk_usage(state.root).free,
            snapshots="overlay" if store.overlay else "copy",
        )
    finally:
        store.close()


def _users() -> str:
    if not user_namespace.privileged():
        return "none: steps cannot run"
    texts = {
        Ids.ALL: "all, as root of this machine",
        Ids.SUBORDINATE: "this user's and their sub-ids, in a user namespace",
        Ids.SINGLE: "this user's alone, in a user namespace",
    }
    return texts[user_namespace.ids()]


def _runtime(name: str) -> RuntimeFacts:
    try:
        if name == "native":
            check_support()
            return RuntimeFacts(name, "kernel", os.uname().release)
        binary = find_binary(name)
    except UnsupportedError:
        return RuntimeFacts(name, "", "")
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=_PATIENCE).stdout
    except (OSError, subprocess.SubprocessError):
        said = ""
    first = said.partition("\n")[0].split()
    return RuntimeFacts(name, str(binary), first[-1] if first else "unknown")


def _platforms() -> list[PlatformFacts]:
    mine = platforms.host()
    found = {mine.architecture: "native"}
    found |= {architecture: "native" for architecture in emulation.MACHINES if emulation.is_native(architecture)}
    for architecture in emulation.registered():
        found.setdefault(architecture, "registered")
    for architecture, path in emulation.emulators().items():
        found.setdefault(architecture, str(path))
    return [PlatformFacts(f"linux/{architecture}", how) for architecture, how in found.items()]

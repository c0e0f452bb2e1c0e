"""The engine of bakery: LLB graphs in, images and files out; without a daemon.

    from engine import BuildRequest, Engine, Wanted, llb

Everything here is imported when it is first used. See docs/library.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import llb
    from engine.engine import Engine
    from engine.exporters.contract import Export
    from engine.frontends.contract import PlatformResult
    from engine.request import BuildRequest, BuildResult, Wanted

__all__ = ["BuildRequest", "BuildResult", "Engine", "Export", "PlatformResult", "Wanted", "llb"]

_HOMES = {
    "BuildRequest": "engine.request",
    "BuildResult": "engine.request",
    "Engine": "engine.engine",
    "Export": "engine.exporters.contract",
    "PlatformResult": "engine.frontends.contract",
    "Wanted": "engine.request",
}


def __getattr__(name: str) -> Any:
    if name == "llb":
        return importlib.import_module("engine.llb")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")

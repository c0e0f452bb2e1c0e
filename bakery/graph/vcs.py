"""Which commit of which repository a local context is of, for provenance to tell; as buildx finds it out."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.graph.statements import attests
from engine.frontends.contract import FrontendRequest

if TYPE_CHECKING:
    from bakery.config.target import Target

_TIMEOUT = 10.0
"""Seconds that git may take; provenance can do without it."""


def with_vcs(target: Target, request: FrontendRequest) -> FrontendRequest:
    """The request with `vcs:` options where the target gets provenance and its context is in a work tree."""
    context = request.locals.get("context")
    if context is None or os.environ.get("BUILDX_GIT_INFO", "").lower() in ("0", "false"):
        return request
    top = _top(context.path) if any(attest.type == "provenance" for attest in attests(target)) else None
    found = _of_repository(top) if top else {}
    if not top or not found:
        return request
    inline = request.dockerfile is not None
    places = {n: folder.path.resolve() for n, folder in request.locals.items() if n != "dockerfile" or not inline}
    inside = {f"vcs:localdir:{n}": str(p.relative_to(top)) for n, p in places.items() if p.is_relative_to(top)}
    return replace(request, options={**request.options, **found, **inside})


def _top(folder: Path) -> Path | None:
    """The top of the work tree that a folder is in."""
    real = folder.resolve()
    return next((place for place in (real, *real.parents) if (place / ".git").exists()), None)


@cache
def _of_repository(top: Path) -> dict[str, str]:
    """What a work tree is of, asked once in a process for all targets."""
    commit = _git(top, "rev-parse", "HEAD")
    if not commit:
        return {}
    dirty = _git(top, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules")
    remote = _git(top, "config", "--get", "remote.origin.url")
    found = {"vcs:revision": f"{commit}-dirty" if dirty else commit, "vcs:source": remote}
    return {key: value for key, value in found.items() if value}


def _git(folder: Path, *arguments: str) -> str:
    """What git says, empty if it cannot. It runs no hooks, no pager and no helper that the repository names."""
    import subprocess

    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(folder), *arguments]
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""

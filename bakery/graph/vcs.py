"""Which commit of which repository a local context is of, for provenance to tell; as buildx finds it out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.frontends.contract import FrontendRequest

if TYPE_CHECKING:
    from bakery.config.target import Target

_TIMEOUT = 10.0
"""Seconds that git may take; provenance can do without it."""


def with_vcs(target: Target, request: FrontendRequest) -> FrontendRequest:
    """The request with `vcs:` options where the target's provenance is wanted and its context is in a work tree."""
    wanted = any(entry.type == "provenance" and not entry.disabled for entry in target.attest)
    context = request.locals.get("context")
    if not wanted or context is None or os.environ.get("BUILDX_GIT_INFO", "").lower() in ("0", "false"):
        return request
    found = _of_folder(context.path)
    return replace(request, options={**request.options, **found}) if found else request


def _of_folder(folder: Path) -> dict[str, str]:
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {}
    dirty = _git(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules")
    remote = _git(folder, "config", "--get", "remote.origin.url")
    inside = _git(folder, "rev-parse", "--show-prefix")
    found = {"vcs:revision": f"{commit}-dirty" if dirty else commit, "vcs:source": remote}
    found["vcs:localdir:context"] = inside.rstrip("/") or "."
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

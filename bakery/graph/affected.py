"""Which targets come out differently in two states of a repository.

Both states are put into folders, and resolved, lowered and keyed as a build would do it, up to where work would begin.
So what decides is what decides in a build: files through COPY filters and .dockerignore, bake files and what they
include, arguments, links, configurations and outputs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path

from bakery import config
from bakery.config.request import LoadRequest
from bakery.diagnostics import BakeryError
from bakery.graph.build import BuildOptions
from bakery.graph.fingerprints import project_fingerprints
from bakery.graph.git_tree import commit_of, commit_tree, current_tree, top_level
from bakery.graph.lower import TargetError
from bakery.values import frozen
from engine.errors import EngineError


class Cause(Enum):
    """Why a target counts as affected."""

    NEW = "new"
    CHANGED = "changed"
    UNKNOWN = "cannot be known"


@frozen
class States:
    """What to compare: a commit with another, or with what is in the work tree now (None)."""

    base: str
    head: str | None = None


def find_affected(request: LoadRequest, options: BuildOptions, states: States) -> Mapping[str, Cause]:
    """The targets of a request, as the later state has them, that do not come out as they did in the earlier.

    Raises:
        BakeryError: outside of a git repository, for an unknown commit, or if the later state cannot be resolved.
        TargetError, EngineError: if it cannot be lowered.
    """
    top = top_level(request.cwd)
    below = request.cwd.resolve().relative_to(top.resolve())
    request = _relative(request, top)
    base = commit_of(top, states.base)
    head = commit_tree(top, commit_of(top, states.head)) if states.head else current_tree(top)
    with head as later, commit_tree(top, base) as earlier:
        now = _fingerprints(request, options, later / below)
        before = _earlier(request, options, earlier / below, list(now))
    return {name: cause for name, key in now.items() if (cause := _cause(name, key, before))}


def _relative(request: LoadRequest, top: Path) -> LoadRequest:
    """Names of files in the repository as each state has them: one from the root of the disk means only the present."""

    def relative(name: str) -> str:
        path = Path(name).parent.resolve() / Path(name).name
        inside = Path(name).is_absolute() and path.is_relative_to(top.resolve())
        return os.path.relpath(path, request.cwd.resolve()) if inside else name

    listed = request.env.get("BUILDX_BAKE_FILE", "").split(request.env.get("BUILDX_BAKE_PATH_SEPARATOR") or os.pathsep)
    files = request.files or tuple(name.strip() for name in listed if name.strip())
    return replace(
        request, files=tuple(map(relative, files)), env_files=tuple(relative(name) for name in request.env_files)
    )


def _cause(name: str, key: str | None, before: Mapping[str, str | None]) -> Cause | None:
    if name not in before:
        return Cause.NEW
    if key is None or before[name] is None:
        return Cause.UNKNOWN
    return None if key == before[name] else Cause.CHANGED


def _fingerprints(request: LoadRequest, options: BuildOptions, folder: Path) -> Mapping[str, str | None]:
    there = replace(request, cwd=folder)
    project = config.load(there)
    if missing := config.check_allowed(project, there):
        raise BakeryError(*missing)
    return project_fingerprints(project, replace(options, cwd=folder, allowed=frozenset(request.allow))).targets


def _earlier(request: LoadRequest, options: BuildOptions, folder: Path, names: list[str]) -> Mapping[str, str | None]:
    """All together; if that fails, one by one, without those that the earlier state did not have or could not build."""
    try:
        return _fingerprints(replace(request, targets=tuple(names)), options, folder)
    except (BakeryError, TargetError, EngineError, OSError):
        if len(names) == 1:
            return {}
    found: dict[str, str | None] = {}
    for name in names:
        found |= _earlier(request, options, folder, [name])
    return found

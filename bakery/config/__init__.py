"""Bake files to targets: discover, parse, evaluate, inherit, override. The door is `load`, what passes is `Project`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.config.request import LoadRequest
from bakery.config.target import Group, Listing, Project, Target

if TYPE_CHECKING:
    from bakery.diagnostics import Diagnostic

__all__ = ["Group", "Listing", "LoadRequest", "Project", "Target", "check_allowed", "list_declared", "load"]


def load(request: LoadRequest) -> Project:
    """Read the bake files and resolve the requested targets.

    Raises BakeryError with every problem found, most important first.
    """
    from bakery.config.project import load_project

    return load_project(request)


def list_declared(request: LoadRequest) -> Listing:
    """Targets, groups and variables that the files declare, for `--list`. Raises BakeryError."""
    from bakery.config.project import list_project

    return list_project(request)


def check_allowed(project: Project, request: LoadRequest) -> tuple[Diagnostic, ...]:
    """What the targets ask of this machine that neither `--allow` nor the working folder grants; empty when all is."""
    from bakery.config.allow import missing_grants

    return missing_grants(project, request)

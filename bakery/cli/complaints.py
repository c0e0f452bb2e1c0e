"""Problems in bake files to stderr."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from bakery.console import problems
from bakery.diagnostics import BakeryError, Diagnostic

if TYPE_CHECKING:
    from bakery.config.target import Target


def report_error(error: BakeryError) -> None:
    """What is wrong with the bake files or what was asked of them."""
    click.echo(problems.render(error), nl=False, err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        annotate([(error, None)])


def annotate(errors: Sequence[tuple[BaseException, Target | None]]) -> None:
    """Has GitHub show errors at their lines, each with the target that it broke, where that is wanted."""
    from bakery.console.ci import github
    from bakery.console.ci.problems import dockerfile, problem_of

    if not github.wants_annotations(os.environ):
        return
    top = github.checkout(os.environ)
    found = [
        problem_of(error, f"target {target.name} failed", dockerfile(target), top)
        if target
        else problem_of(error, "bakery", None, top)
        for error, target in errors
    ]
    click.echo(github.annotate(found), nl=False, err=True)


def report_warnings(warnings: Iterable[Diagnostic]) -> None:
    """What was noticed about them."""
    for warning in warnings:
        click.echo(problems.warning(warning), nl=False, err=True)

"""Problems in bake files to stderr."""

from __future__ import annotations

from collections.abc import Iterable

import click

from bakery.console import problems
from bakery.diagnostics import BakeryError, Diagnostic


def report_error(error: BakeryError) -> None:
    """What is wrong with the bake files or what was asked of them."""
    click.echo(problems.render(error), nl=False, err=True)


def report_warnings(warnings: Iterable[Diagnostic]) -> None:
    """What was noticed about them."""
    for warning in warnings:
        click.echo(problems.warning(warning), nl=False, err=True)

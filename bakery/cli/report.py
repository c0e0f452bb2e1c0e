"""Diagnostics to stderr in the peer's form: an excerpt with the place marked, then one `ERROR:` line."""

from __future__ import annotations

from collections.abc import Iterable

import click

from bakery.diagnostics import BakeryError, Diagnostic, Severity, excerpt


def report_error(error: BakeryError) -> None:
    """The first error with its excerpt, the others one line each, and the line that scripts look for last."""
    errors = [problem for problem in error.diagnostics if problem.severity is Severity.ERROR] or list(error.diagnostics)
    report_warnings(problem for problem in error.diagnostics if problem.severity is Severity.WARNING)
    for other in errors[1:]:
        click.echo(f"error: {other}{_hint(other)}", err=True)
    if errors and errors[0].span is not None:
        span = errors[0].span
        click.echo(excerpt(span.file.name, span.file.text, span.start.line, span.end.line), err=True)
    if errors and errors[0].hint:
        click.echo(f"hint: {errors[0].hint}", err=True)
    click.echo(f"ERROR: {BakeryError(*errors)}", err=True)


def report_warnings(warnings: Iterable[Diagnostic]) -> None:
    """One line per warning."""
    for warning in warnings:
        click.echo(f"WARNING: {warning}{_hint(warning)}", err=True)


def _hint(problem: Diagnostic) -> str:
    return f" ({problem.hint})" if problem.hint else ""

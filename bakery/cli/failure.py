"""Any exception that ends a command, shown; and the exit code that it means."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from bakery.cli.complaints import annotate
from bakery.config.target import Target
from bakery.console import errors
from bakery.diagnostics import BakeryError
from bakery.graph.lower import TargetError


def report_failure(error: BaseException) -> int:
    """Writes what went wrong to stderr and returns the exit code.

    What is a bug of ours writes a report file; the option `--debug` also shows its traceback.
    """
    parts = _once(_unwrapped(part) for part in errors.leaves(error))
    text = "".join(errors.step_error_tail(part) + errors.render(part, names) for part, names in parts)
    click.echo(text, nl=False, err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        annotate([_with_target(part) for part in errors.leaves(error) if isinstance(part, Exception)])
    if "--debug" in sys.argv or "-D" in sys.argv:
        import traceback

        click.echo("".join(traceback.format_exception(error)), nl=False, err=True)
    return errors.exit_code(BaseExceptionGroup("", [part for part, _ in parts]))


def _once(parts: Iterable[tuple[BaseException, list[str]]]) -> list[tuple[BaseException, list[str]]]:
    """Each error that several pieces of concurrent work met once, with all targets that it broke."""
    found: dict[tuple[type[BaseException], str], tuple[BaseException, list[str]]] = {}
    for error, names in parts:
        found.setdefault((type(error), str(error)), (error, []))[1].extend(names)
    return list(found.values())


def _with_target(error: BaseException) -> tuple[BaseException, Target | None]:
    return (error.error, error.target) if isinstance(error, TargetError) else (error, None)


def _unwrapped(error: BaseException) -> tuple[BaseException, list[str]]:
    """The error within, and the target that it broke; a problem in a bake file has its own place."""
    if isinstance(error, TargetError):
        return error.error, [] if isinstance(error.error, BakeryError) else [error.target.name]
    return error, []

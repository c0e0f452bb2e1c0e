"""What the targets ask of this machine beyond what was allowed: shown, and on a terminal asked about."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from bakery import config
from bakery.config.request import LoadRequest
from bakery.config.target import Project
from bakery.console.text import printable
from bakery.diagnostics import BakeryError, Diagnostic


def check_grants(project: Project, request: LoadRequest) -> frozenset[str]:
    """What was allowed, by `--allow` or by answering yes. Raises BakeryError if it is not all that is asked for."""
    missing = config.check_allowed(project, request)
    allowed = frozenset(request.allow)
    if not missing:
        return allowed
    flags = list(dict.fromkeys(problem.hint for problem in missing))
    click.echo(explain(missing), nl=False, err=True)
    if sys.stdin.isatty() and sys.stderr.isatty() and click.confirm("Allow this, for this once?", err=True):
        import shlex

        return allowed | {shlex.split(flag)[-1] for flag in flags}
    raise BakeryError.of("additional privileges requested", hint=f"to allow it, add {' '.join(flags)}")


def explain(missing: Sequence[Diagnostic]) -> str:
    """Each thing that is asked for once, with its place."""
    lines = dict.fromkeys(_line(problem) for problem in missing)
    return "".join(["The build asks for more than it was allowed:\n", *lines, "\n"])


def _line(problem: Diagnostic) -> str:
    place = f" ({problem.span.file.name}:{problem.span.start.line})" if problem.span else ""
    return f" - {printable(problem.detail.encode())}{place}\n"

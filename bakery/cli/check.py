"""`bakery check`: what is wrong with bake files and Dockerfiles, without building anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.config.request import LoadRequest
    from bakery.graph.check import Finding

FORMS = ("text", "json", "github")


@click.command("check", cls=SwitchCommand, epilog=examples.CHECK)
@lower_options
@click.option("form", "--format", type=click.Choice(FORMS), default="text", help="How to write it.")
@click.option(
    "fail_on",
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    help="What makes the command fail.",
)
def check(form: str, fail_on: str, **options: Any) -> int:
    """Check bake files and Dockerfiles without building.

    All targets are checked unless some are named: the rules of Dockerfiles for every stage, and whether what the bake
    file gives a target (arguments, contexts, secrets) is what its Dockerfile takes.
    """
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    found = _findings(request, options)
    click.echo(_WRITERS[form](found), nl=False)
    failing = found if fail_on == "warning" else [one for one in found if one.severity.value == "error"]
    return 1 if failing else 0


def _findings(request: LoadRequest, options: dict[str, Any]) -> list[Finding]:
    from dataclasses import replace

    from bakery import config
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.diagnostics import BakeryError
    from bakery.graph.asking import ask_project
    from bakery.graph.check import findings, of_error

    try:
        if not request.targets:
            listed = config.list_declared(request).targets
            request = replace(request, targets=tuple(t.name for t in listed if t.group is None))
        project = config.load(request)
        how = build_options(options, check_grants(project, request))
        asked = {name: "check" for name, target in project.targets.items() if target.requested}
        answers = ask_project(project, how, asked)
    except BakeryError as error:
        return of_error(error)
    return findings(project, answers, request.cwd)


def text(found: Sequence[Finding]) -> str:
    """Each finding with its lines, and how many there are."""
    from bakery.console.text import printable
    from bakery.diagnostics import excerpt

    out = []
    for one in found:
        head = f"{one.severity.name}: {one.rule}" + (f" - {one.url}" if one.url else "")
        lines = [head, one.message]
        if one.text and one.line:
            lines.append(excerpt(one.file, one.text, one.line, one.end_line))
        elif one.file:
            lines.append(one.file)
        lines += [f"hint: {one.hint}"] if one.hint else []
        out.append("\n".join(printable(line.encode()) for line in "\n".join(lines).split("\n")) + "\n\n")
    return "".join(out) + _total(found)


def _total(found: Sequence[Finding]) -> str:
    errors = sum(one.severity.value == "error" for one in found)
    counts = [
        f"{n} {what}{'s' if n > 1 else ''}" for n, what in ((errors, "error"), (len(found) - errors, "warning")) if n
    ]
    return f"Check complete, {' and '.join(counts)} found.\n" if counts else "Check complete, nothing found.\n"


def as_json(found: Sequence[Finding]) -> str:
    """A document with all findings and their numbers."""
    errors = sum(one.severity.value == "error" for one in found)
    document = {"findings": list(map(_record, found)), "errors": errors, "warnings": len(found) - errors}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _record(one: Finding) -> dict[str, Any]:
    fields = {
        "rule": one.rule,
        "severity": one.severity.value,
        "message": one.message,
        "file": one.file,
        "line": one.line,
        "endLine": one.end_line,
        "column": one.column,
        "endColumn": one.end_column,
        "hint": one.hint,
        "url": one.url,
        "targets": list(one.targets),
    }
    return {key: value for key, value in fields.items() if value}


def github(found: Sequence[Finding]) -> str:
    """Workflow commands that GitHub shows as annotations of the lines."""
    return "".join(map(_annotation, found))


def _annotation(one: Finding) -> str:
    # https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
    fields = {"file": one.file, "line": one.line, "endLine": one.end_line}
    if one.line == one.end_line:  # columns are refused where an annotation spans lines
        fields |= {"col": one.column, "endColumn": one.end_column}
    fields["title"] = one.rule
    given = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in fields.items() if value)
    message = one.message + (f"\n{one.hint}" if one.hint else "")
    return f"::{one.severity.value} {given}::{_escaped(message)}\n"


def _escaped(value: str, more: str = "") -> str:
    return "".join(f"%{ord(char):02X}" if char in "%\r\n" + more else char for char in value)


_WRITERS = {"text": text, "json": as_json, "github": github}

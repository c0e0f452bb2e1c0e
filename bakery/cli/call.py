"""`--call` and `--check`: what targets answer instead of being built, as text and as JSON, in buildx's forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from bakery.config.request import LoadRequest
from bakery.config.target import Project
from bakery.diagnostics import BakeryError
from bakery.graph.asking import CALLS, Answer, ask_project
from bakery.graph.build import BuildOptions
from bakery.graph.frontend_request import links
from bakery.settings import Settings
from bakery.values import frozen

_FAILED = 1
_ALIASES = {"lint": "check"}


@frozen
class CallForm:
    """How answers are written, and whether what checks found is left out of the exit code."""

    json: bool = False
    ignore_status: bool = False


def call_form(text: str) -> CallForm:
    """The form that `--call=METHOD,format=…,ignorestatus=…` asks for.

    Raises:
        click.BadParameter: for a field that is not known.
    """
    form, ignore = "text", "false"
    for field in text.split(",")[1:]:
        key, _, value = field.partition("=")
        if key == "format" and value in ("text", "json"):
            form = value
        elif key == "ignorestatus":
            ignore = value or "true"
        else:
            raise click.BadParameter(f"{field}: expected format=text, format=json or ignorestatus", param_hint="--call")
    return CallForm(form == "json", ignore.lower() in ("1", "t", "true"))


def called(project: Project) -> dict[str, str]:
    """The targets that are asked something, and what.

    Raises:
        BakeryError: for a target that is asked what no target knows.
    """
    calls = {}
    for name, target in project.targets.items():
        method = _ALIASES.get(target.call or "", target.call)
        if not target.requested or not method or method == "build":
            continue
        if method not in CALLS:
            raise BakeryError.of(
                f"target {name}: the call {method!r} is not supported",
                span=target.span_of("call"),
                hint=f"known are build, {', '.join(CALLS)}",
            )
        calls[name] = method
    return calls


def without_calls(project: Project, calls: Mapping[str, str]) -> Project | None:
    """The targets that are to be built, and those that they link to; None if there are none."""
    built = [name for name, target in project.targets.items() if target.requested and name not in calls]
    kept, waiting = set[str](), list(built)
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept.add(name)
            waiting += links(project.targets[name]).values()
    targets = {
        name: replace(target, call=None, requested=False) if name in calls else target
        for name, target in project.targets.items()
        if name in kept
    }
    return replace(project, targets=targets) if built else None


def build_and_call(
    project: Project, request: LoadRequest, options: dict[str, Any], debug: bool, settings: Settings
) -> int:
    """Builds the targets that are to be built, asks the others, and returns the exit code. Raises as `run`."""
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options, run

    form, calls = call_form(options["call"]), called(project)
    built = without_calls(project, calls)
    code = run(built, request, options, debug, settings) if built else 0
    how = build_options(options, check_grants(project, request), settings)
    return code or run_calls(project, calls, how, form)


def run_calls(project: Project, calls: Mapping[str, str], options: BuildOptions, form: CallForm) -> int:
    """Asks, writes the answers in the order of names, and returns the exit code. Raises as `ask_project`."""
    answers = {name: _peers(answer) for name, answer in ask_project(project, options, calls).items()}
    if form.json:
        click.echo(json.dumps(_document(project, calls, answers), indent=2, ensure_ascii=False))
    else:
        for at, name in enumerate(sorted(answers)):
            click.echo("\n" * bool(at) + _text(answers[name]), nl=False)
    return max((_code(answer, form) for answer in answers.values()), default=0)


def _peers(answer: Answer) -> Answer:
    """Without what the peer does not check: scripts that pass with it are to pass here. `bakery check` has it all."""
    from engine.frontends.dockerfile.lint.rules import OWN
    from engine.frontends.dockerfile.subrequests import Checked

    if not isinstance(answer.value, Checked):
        return answer
    theirs = tuple(warning for warning in answer.value.warnings if warning.rule not in OWN)
    return replace(answer, value=replace(answer.value, warnings=theirs))


def _code(answer: Answer, form: CallForm) -> int:
    from engine.frontends.dockerfile.subrequests import Checked

    if answer.error is not None:
        return _FAILED
    if not isinstance(answer.value, Checked):
        return 0
    if answer.value.error is not None:
        return _FAILED
    return _FAILED if answer.value.warnings and not form.ignore_status else 0


def _text(answer: Answer) -> str:
    from engine.frontends.dockerfile import answers
    from engine.frontends.dockerfile.outline import Outline
    from engine.frontends.dockerfile.subrequests import Checked, TargetList

    head = f"{answer.target.name}\n" + (f"{answer.target.description}\n" if answer.target.description else "") + "\n"
    match answer.value:
        case Checked() as checked:
            return head + _check_text(checked, answer.filename)
        case Outline() as outline:
            return head + answers.outline_text(outline)
        case TargetList() as found:
            return head + answers.targets_text(found)
        case None:
            return f"{head}error: {answer.error}\n"


def _check_text(checked: Any, filename: str) -> str:
    from engine.frontends.dockerfile import answers

    count = len(checked.warnings)
    text = ""
    if count:
        found = "1 warning has been found!" if count == 1 else f"{count} warnings have been found!"
        text = f"Check complete, {found}\n" + answers.lint_text(checked.warnings, filename)
    if checked.error is not None:
        return text + "\n" * bool(count) + "error: " + answers.error_text(checked.error, filename)
    return text or "Check complete, no warnings found.\n"


def _document(project: Project, calls: Mapping[str, str], found: Mapping[str, Answer]) -> dict[str, Any]:
    from bakery.config import printing

    printed = json.loads(printing.print_json(project))
    targets = {name: {"build": definition} for name, definition in printed["target"].items()}
    for name, answer in found.items():
        targets[name][calls[name]] = _answer(answer)
    return ({"group": printed["group"]} if "group" in printed else {}) | {"target": targets}


def _answer(answer: Answer) -> dict[str, Any]:
    from engine.frontends.dockerfile import answers
    from engine.frontends.dockerfile.outline import Outline
    from engine.frontends.dockerfile.subrequests import Checked, TargetList

    match answer.value:
        case Checked() as checked:
            return answers.lint_json(checked) | ({"error": checked.error.message} if checked.error else {})
        case Outline() as outline:
            return answers.outline_json(outline)
        case TargetList() as found:
            return answers.targets_json(found)
        case None:
            return {"error": str(answer.error)}

"""`bakery plan`: what a build would do. Exit code 0 if nothing would run, else 3."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from engine.solver.forecast import Forecast, FutureStep

_INDENT = " " * 17
SOMETHING = 3
"""The exit code when something would run."""

_EPILOG = """\b
Examples:
  bakery plan                    what `bakery build` would do
  bakery plan api --format json  for programs
  bakery plan -q || bakery build build only if anything would run

The exit code is 0 if nothing would run, 3 if something would, 1 if that cannot be told."""


@click.command("plan", cls=SwitchCommand, epilog=_EPILOG)
@lower_options
@click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
@click.option("all_steps", "-a", "--all", is_flag=True, help="Show what is known already, too.")
@click.option("quiet", "-q", "--quiet", is_flag=True, help="Only the exit code.")
def plan(form: str, all_steps: bool, quiet: bool, **options: Any) -> int:
    """Say what a build would do, without doing it.

    Sources are asked what they mean now, as a build would. A step that would run may still turn out to be known, when
    what it builds upon comes out as it was.
    """
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.graph.build import forecast

    project = config.load(request)
    report_warnings(project.warnings)
    found = forecast(project, build_options(options, check_grants(project, request)))
    if not quiet:
        click.echo(as_json(found) if form == "json" else as_text(found, all_steps), nl=False)
    return 0 if found.idle else SOMETHING


def as_json(found: Forecast) -> str:
    """The whole forecast as an object."""
    steps = [{**asdict(step), "fate": step.fate.value} for step in found.steps]
    data = {"idle": found.idle, "seconds": round(found.seconds, 3), "critical": found.critical, "steps": steps}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def as_text(found: Forecast, all_steps: bool) -> str:
    """Each step that would be worked on and why, and how long it all takes."""
    from bakery.console.text import duration, size

    shown = [step for step in found.steps if all_steps or step.fate.value != "hit"]
    lines = [line for step in shown for line in _lines(step)]
    counts = Counter(step.fate.value for step in found.steps)
    if found.idle:
        return "".join(lines) + f"Nothing would run: all {counts['hit']} steps are known.\n"
    fetched = sum(step.bytes for step in found.steps)
    parts = [f"{counts['run']} to run", f"{counts['hit']} known"]
    if counts["fetch"]:
        parts.append(f"{counts['fetch']} to fetch" + (f" ({size(fetched)})" if fetched else ""))
    if counts["fail"]:
        parts.append(f"{counts['fail']} would fail" + (f", and {counts['never']} behind" if counts["never"] else ""))
    lines.append(f"{', '.join(parts)}; about {duration(found.seconds)}.\n")
    return "".join(lines)


def _lines(step: FutureStep) -> list[str]:
    from bakery.console.text import duration, printable, size
    from bakery.history.reasons import cause, change
    from engine.events import Decided, How

    fate = step.fate.value
    what = {"fetch": size(step.bytes) if step.bytes else "", "run": duration(step.seconds)}.get(fate, "")
    owners = step.targets[0] + (f" +{len(step.targets) - 1}" if len(step.targets) > 1 else "") if step.targets else ""
    title = printable(step.name.replace("\n", " ").encode())
    lines = [f"{fate:5}  {what:>8}  {owners}  {title}\n"]
    if step.error:
        lines.append(f"{_INDENT}{printable(step.error.encode())}\n")
    if step.cause:
        decided = Decided(step.digest, How.RUN, step.cause, step.changes, step.more)
        lines.append(f"{_INDENT}{cause(decided)}\n")
    lines += [f"{_INDENT}  {printable(change(each).encode())}\n" for each in step.changes]
    if step.more:
        lines.append(f"{_INDENT}  and {step.more:,} more\n")
    return lines

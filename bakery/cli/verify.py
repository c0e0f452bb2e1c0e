"""`bakery verify`: does the same build give the same image again?"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand

if TYPE_CHECKING:
    from bakery.graph.verify import Verdict

_EXAMPLES = """\b
Examples:
  bakery verify app            build app, build it again without cache, compare
  bakery verify --times app    the times of files and layers must be the same, too"""


@click.command("verify", cls=SwitchCommand, epilog=_EXAMPLES)
@lower_options
@click.option("times", "--times", is_flag=True, help="Times must be the same, too; without this they are set aside.")
@click.option("form", "--format", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
def verify(times: bool, form: str, **options: Any) -> int:
    """Build again without cache, and compare.

    Shows the first difference of each target and platform, and exits with 1 if there is one.
    """
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.graph.verify import verify_project

    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    project = config.load(request)
    report_warnings(project.warnings)
    allowed = check_grants(project, request)
    with tempfile.TemporaryDirectory(prefix="bakery-verify-") as folder:
        verdicts = verify_project(project, build_options(options, allowed), Path(folder), times=times)
    if form == "json":
        click.echo(json.dumps([_as_json(verdict) for verdict in verdicts], indent=2, ensure_ascii=False))
    else:
        for verdict in verdicts:
            click.echo(_line(verdict))
    return 0 if all(verdict.same for verdict in verdicts) else 1


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "target": verdict.target,
        "platform": verdict.platform,
        "same": verdict.same,
        "digest": verdict.digest,
        "layer": verdict.layer,
        "step": verdict.step,
        "difference": verdict.difference,
    }


def _line(verdict: Verdict) -> str:
    head = f"{verdict.target} {verdict.platform}"
    if verdict.same:
        return f"{head}: the same again, {verdict.digest}"
    where = f" in layer {verdict.layer}" if verdict.layer else ""
    by = f", made by {verdict.step}" if verdict.step else ""
    return f"{head}: another one{where}{by}\n  {verdict.difference}"

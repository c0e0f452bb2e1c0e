"""`bakery prune`: frees space in the state folder."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bakery.cli.open_state import open_state, root_option
from bakery.diagnostics import BakeryError

if TYPE_CHECKING:
    from engine.cache.policy import Rule

_EPILOG = """\b
Examples:
  bakery prune                                 all but what costs little and saves much
  bakery prune --filter until=72h              what nobody used for three days
  bakery prune --max-used-space 10GB           the least useful, down to so much
  bakery prune --filter type=exec.cachemount   cache mounts"""

_WARNING = "This will remove all build cache"
_MB = 1000 * 1000


def _space(context: click.Context, parameter: click.Parameter, text: str | None) -> int:
    from bakery.settings.quantities import parse_size

    if text is None:
        return 0
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float:
    from bakery.settings.quantities import parse_duration

    try:
        return parse_duration(text) if text else 0.0
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _space_option(name: str, help: str) -> Callable[[Any], Any]:
    return click.option(name, metavar="SIZE", callback=_space, help=help)


def _megabytes(name: str) -> Callable[[Any], Any]:
    """An option of the peer's other tool, in MB."""
    return click.option(name, type=click.FloatRange(min=0), default=0, hidden=True)


@click.command("prune", epilog=_EPILOG)
@click.option("everything", "-a", "--all", is_flag=True, help="Also manifests and other internal records.")
@click.option(
    "filters", "--filter", multiple=True, metavar="FILTER", help="Only some: KEY=VALUE, KEY~=REGEX, until=24h."
)
@_space_option("--reserved-space", "Always keep this much.")
@_space_option("--max-used-space", "Keep no more than this.")
@_space_option("--min-free-space", "Leave this much of the disk free.")
@click.option("--keep-duration", metavar="TIME", callback=_duration, help="Keep what was used within this time.")
@_megabytes("--keep-storage")
@_megabytes("--keep-storage-min")
@_megabytes("--free-storage")
@click.option("force", "-f", "--force", is_flag=True, help="Do not ask.")
@click.option("verbose", "-v", "--verbose", is_flag=True, help="All that is known of each.")
@click.option("form", "--format", type=click.Choice(["table", "json"]), default="table", help="How to write it.")
@root_option
def prune(
    everything: bool, filters: tuple[str, ...], force: bool, verbose: bool, form: str, root: str | None, **limits: Any
) -> None:
    """Free space in the state folder. What a running build uses stays."""
    rule = _rule(everything, filters, limits)
    if not force and not _agreed():
        return
    from bakery.cli import usage_view
    from bakery.console.text import size
    from engine.cache.gc import collect

    removed: list[Any] = []
    with open_state(root) as state:
        for record in collect(state, [rule]):
            if form == "table" and not verbose and not removed:
                click.echo(usage_view.header(), nl=False)
            removed.append(record)
            if form == "table":
                click.echo((usage_view.block if verbose else usage_view.row)(record, time.time()), nl=False)
    total = sum(record.size for record in removed)
    if form == "json":
        click.echo(json.dumps({"removed": json.loads(usage_view.as_json(removed)), "total": total}, indent=2))
    else:
        click.echo(f"Total:        {size(total)}")


def _agreed() -> bool:
    """Asks. Raises BakeryError where nobody answers, as in a CI job: silence is no yes."""
    click.echo(f"WARNING! {_WARNING}. Continue? [y/N]: ", nl=False, err=True)
    answer = sys.stdin.readline() if sys.stdin else ""
    if answer:
        return answer.strip().lower() in ("y", "yes")
    click.echo(err=True)
    raise BakeryError.of("nothing was removed, for nobody answered", hint="give --force to remove without being asked")


def _rule(everything: bool, filters: tuple[str, ...], limits: dict[str, Any]) -> Rule:
    from bakery.cli.usage_filters import wanted_records
    from engine.cache.policy import DiskSpace, Limits, Rule

    wanted = wanted_records(filters)

    def space(name: str, in_megabytes: str) -> DiskSpace:
        return DiskSpace(limits[name] or int(limits[in_megabytes] * _MB))

    return Rule(
        filters=(wanted.filter,) if wanted.filter else (),
        keep_duration=max(wanted.unused_for, limits["keep_duration"]),
        limits=Limits(
            space("reserved_space", "keep_storage_min"),
            space("max_used_space", "keep_storage"),
            space("min_free_space", "free_storage"),
        ),
        all=everything,
    )

"""`bakery du`: what takes space in the state folder."""

from __future__ import annotations

import time

import click

from bakery.cli.open_state import open_state, root_option

_EPILOG = """\b
Examples:
  bakery du                                  everything, the biggest last
  bakery du --filter type=exec.cachemount    cache mounts only
  bakery du --filter until=72h --verbose     what nobody used for three days, in full"""


@click.command("du", epilog=_EPILOG)
@click.option(
    "filters", "--filter", multiple=True, metavar="FILTER", help="Only some: KEY=VALUE, KEY~=REGEX, until=24h."
)
@click.option("verbose", "-v", "--verbose", is_flag=True, help="All that is known of each.")
@click.option("form", "--format", type=click.Choice(["table", "pretty", "json"]), help="How to write it.")
@root_option
def du(filters: tuple[str, ...], verbose: bool, form: str | None, root: str | None) -> None:
    """Show what takes space in the state folder."""
    if form and verbose:
        raise click.UsageError("--format and --verbose cannot be used together")
    from bakery.cli import usage_view
    from bakery.cli.usage_filters import wanted_records
    from engine.cache.filters import parse_filter
    from engine.cache.usage import read_usage

    wanted = wanted_records(filters)
    matches, now = parse_filter(wanted.filter), time.time()
    with open_state(root) as state:
        records = [
            record
            for record in read_usage(state)
            if matches(record.fields()) and (not wanted.unused_for or now - record.used >= wanted.unused_for)
        ]
    if form == "json":
        click.echo(usage_view.as_json(records))
    elif verbose or form == "pretty":
        click.echo("".join(usage_view.block(record, now) for record in records), nl=False)
    else:
        click.echo(usage_view.table(records, now), nl=False)
    if form != "json" and not filters:
        click.echo(usage_view.summary(records), nl=False)

"""`bakery cache`: cache mounts as things to look at, fill and remove."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from bakery.cli.open_state import open_state, root_option

_EPILOG = """\b
Examples:
  bakery cache ls                       all cache mounts, by the ID steps give them
  bakery cache seed /root/.npm ~/.npm   fill the cache of that ID before its first use
  bakery cache rm /root/.npm            remove it

ID is that of `RUN --mount=type=cache,id=ID`, or its target where it has none."""


@click.group("cache", epilog=_EPILOG)
def cache() -> None:
    """List, fill and remove cache mounts."""


@cache.command("ls")
@click.option("form", "--format", type=click.Choice(["table", "json"]), default="table", help="How to write it.")
@root_option
def ls(form: str, root: str | None) -> None:
    """List cache mounts with what they take.

    Steps that want a cache to themselves (sharing=private) while another has it get a further one under the same ID.
    """
    from bakery.cli.usage_view import ago
    from bakery.console.text import printable, rfc3339, size
    from engine.cache.handling import list_mounts

    with open_state(root) as state:
        mounts = list_mounts(state)
    if form == "json":
        objects: list[dict[str, Any]] = [
            {
                "id": mount.cache,
                "mount": mount.id,
                "size": mount.size,
                "createdAt": rfc3339(mount.created),
                "lastUsedAt": rfc3339(mount.used),
                "usageCount": mount.uses,
                "inUse": mount.in_use,
            }
            for mount in mounts
        ]
        click.echo(json.dumps(objects, indent=2, ensure_ascii=False))
        return
    now = time.time()
    rows = [("ID", "SIZE", "USES", "LAST USED", "MOUNT")]
    rows += [
        (
            printable(mount.cache.encode()),
            size(mount.size),
            str(mount.uses),
            "in use" if mount.in_use else ago(now - mount.used),
            mount.id,
        )
        for mount in mounts
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(5)]
    for row in rows:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@cache.command("seed")
@click.argument("id_", metavar="ID")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("replace", "--replace", is_flag=True, help="Instead of what the cache has now.")
@root_option
def seed(id_: str, source: Path, replace: bool, root: str | None) -> None:
    """Fill a cache mount from a folder or a tar archive.

    It is what steps find that mount the cache without `from`, `uid`, `gid` or `mode`.
    """
    from bakery.console.text import size
    from engine.cache.handling import seed_mount

    with open_state(root) as state:
        taken = seed_mount(state, id_, source, replace=replace)
    click.echo(f"The cache {id_} has {size(taken)} now.")


@cache.command("rm")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@root_option
def rm(ids: tuple[str, ...], root: str | None) -> int:
    """Remove cache mounts, by their ID or the name in the column MOUNT."""
    from bakery.console.text import size
    from bakery.diagnostics import BakeryError, did_you_mean
    from engine.cache.handling import list_mounts, remove_mounts

    with open_state(root) as state:
        mounts = list_mounts(state)
        for id_ in ids:
            if not any(id_ in (mount.cache, mount.id) for mount in mounts):
                near = did_you_mean(id_, [mount.cache for mount in mounts])
                raise BakeryError.of(
                    f'there is no cache mount "{id_}"',
                    hint=f'did you mean "{near}"?' if near else "see `bakery cache ls`",
                )
        chosen = [mount for mount in mounts if mount.cache in ids or mount.id in ids]
        removed = remove_mounts(state, chosen)
    for mount in chosen:
        if mount not in removed:
            click.echo(f"The cache {mount.cache} ({mount.id}) is in use and stays.", err=True)
    click.echo(f"Total:        {size(sum(mount.size for mount in removed))}")
    return 0 if len(removed) == len(chosen) else 1

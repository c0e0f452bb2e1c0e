"""Names of targets and groups for the shell. `_BAKERY_COMPLETE=bash_source bakery` prints what the shell needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def complete_target(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names that begin with what was typed, but those given already; none where the bake files cannot be read."""
    from bakery import config
    from bakery.diagnostics import BakeryError

    files = tuple(context.params.get("files") or ())
    given = set(context.params.get("names") or ())
    try:
        listing = config.list_declared(config.LoadRequest(files=files, env=os.environ, cwd=Path.cwd()))
    except BakeryError:
        return []
    return [item.name for item in listing.targets if item.name.startswith(incomplete) and item.name not in given]

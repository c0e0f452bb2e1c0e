"""What bake files declare, as tables."""

from __future__ import annotations

from bakery.config.target import Listing
from bakery.console.table import columns


def table(listing: Listing) -> str:
    """Three tables, those that are empty left out."""
    targets = [(t.name, t.description) for t in listing.targets if t.group is None]
    groups = [(g.name, ", ".join(g.group), g.description) for g in listing.targets if g.group is not None]
    variables = [
        (v.name, v.type, "(not set)" if v.value is None else v.value, v.description) for v in listing.variables
    ]
    parts = [
        columns(("TARGET", "DESCRIPTION"), targets),
        columns(("GROUP", "MEMBERS", "DESCRIPTION"), groups),
        columns(("VARIABLE", "TYPE", "VALUE", "DESCRIPTION"), variables),
    ]
    return "\n".join(filter(None, parts)) or "The bake files declare nothing.\n"

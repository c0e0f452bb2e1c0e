"""Names of steps where several targets are built: `[app build 2/5] RUN …`, as buildx has them."""

from __future__ import annotations

from collections.abc import Collection


def titled(name: str, targets: Collection[str]) -> str:
    """A step's name with those of the targets that want it. One that many share names the first and counts the rest."""
    if not targets:
        return name
    first, *others = targets
    prefix = first if not others else f"{first},{others[0]}" if len(others) == 1 else f"{first}+{len(others)}"
    return f"[{prefix} {name[1:]}" if name.startswith("[") else f"{prefix} {name}"

"""Going through the merged tree of a result, for the outputs that are made of files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.exporters.contract import TargetImage
from engine.tree import Entry, Tree

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext


def walk(tree: Tree, epoch: int | None) -> Iterator[tuple[str, Entry]]:
    """All entries but the root, folders before what is in them, by name. With an epoch every time is that one."""
    stack = [iter([f"/{name}" for name in tree.names("/")])]
    while stack:
        path = next(stack[-1], None)
        if path is None:
            stack.pop()
            continue
        entry = tree.lstat(path)
        if entry is None:
            continue
        if epoch is not None:
            entry = replace(entry, mtime_ns=epoch * 1_000_000_000)
        yield path, entry
        if entry.is_dir:
            stack.append(iter([f"{path}/{name}" for name in tree.names(path)]))


async def platform_trees(target: TargetImage, split: bool | None, context: ExportContext) -> list[tuple[str, Tree]]:
    """The tree of each platform with the folder that it belongs into: `linux_arm64` where platforms are split, else
    nothing. They are, unless said otherwise, if there are several.

    Raises SourceError, StateError.
    """
    several = target.multi or len(target.platforms) > 1
    split = several if split is None else split
    for image in target.platforms:
        await context.snapshots.ensure(image.snapshot, context.progress)
    return [
        (image.id.replace("/", "_") if split else "", context.snapshots.tree(image.snapshot))
        for image in target.platforms
    ]

"""Read access to any result, whatever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.results import Result, Snapshot
from engine.tree import Tree

if TYPE_CHECKING:
    from engine.snapshots.store import SnapshotStore


def tree_of(result: Result, snapshots: SnapshotStore) -> Tree:
    """The tree of a result that is on this machine (a snapshot must have been ensured)."""
    if isinstance(result, Snapshot):
        return snapshots.tree(result)
    from engine.sources.local import open_tree

    return open_tree(result)

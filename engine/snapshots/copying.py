"""Where overlay mounts are refused: a snapshot is copied into one folder, and what was changed there found afterwards.

Slow and right. Everything else in the engine only reads layers, which needs no mount.
"""

from __future__ import annotations

from pathlib import Path

from engine.snapshots.difference import write_difference, write_tree
from engine.snapshots.overlay_format import OverlayFormat
from engine.snapshots.tree import LayeredTree
from engine.snapshots.work import discard
from engine.tree import Tree


def materialise(tree: Tree, into: Path) -> None:
    """Copies a tree into an empty folder. Raises OSError."""
    write_tree(tree, into)


def take_changes(before: Tree, folder: Path, layer: Path, form: OverlayFormat) -> None:
    """Replaces a layer's content by what makes `before` into what a folder holds now. Raises OSError."""
    discard(layer)
    layer.mkdir()
    write_difference(before, LayeredTree([folder], form), layer, form)

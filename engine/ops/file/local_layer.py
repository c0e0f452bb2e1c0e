"""A folder of this machine as a layer: for steps that start from it, instead of copying from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import StateError, disk_hint
from engine.results import LocalTree, Snapshot

if TYPE_CHECKING:
    from engine.ops.file.copier import Checkpoint
    from engine.snapshots.store import SnapshotStore


def layer_of(local: LocalTree, snapshots: SnapshotStore, checkpoint: Checkpoint) -> Snapshot:
    """Copies a folder, as its filters show it, into a layer of its own.

    Raises:
        SourceError: if it cannot be read, or changes meanwhile.
        StateError: if it cannot be written.
    """
    from engine.ops.file.copier import Copier
    from engine.ops.file.layer_root import LayerRoot
    from engine.ops.file.settings import Settings
    from engine.snapshots.overlay_format import overlay_format
    from engine.sources.local import open_tree

    with snapshots.new_layer(Snapshot()) as layer:
        root = LayerRoot(snapshots.tree(Snapshot()), layer.place, overlay_format())
        copier = Copier(open_tree(local), root, Settings(), checkpoint, contents_only=True)
        try:
            copier.copy("/", "/")
        except OSError as error:
            problem = f"cannot copy {local.path} into a layer: {error.strerror}"
            raise StateError(problem, hint=disk_hint(error)) from error
        return layer.commit(f"local source {local.path}")

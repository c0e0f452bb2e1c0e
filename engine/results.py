"""What a vertex makes: a snapshot, or a folder of this machine that is read where it lies."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, NewType

from engine.values import frozen

if TYPE_CHECKING:
    from engine.sources.folder import Folder

LayerID = NewType("LayerID", str)
"""The name of one layer in the snapshot store: lowercase letters, digits and dashes, at most 64."""


@frozen
class Snapshot:
    """A file system as layers over each other, the lowest first; no layer at all is an empty file system.

    A layer is a difference, kept in overlayfs form (whiteouts are 0:0 character devices, opaque folders carry the
    overlay attribute), so merging is putting layer lists together. A layer that came from an image may not be here
    yet: `SnapshotStore.ensure` fetches and unpacks it. Two snapshots are the same if their layers are.
    """

    layers: tuple[LayerID, ...] = ()


@frozen
class LocalTree:
    """A folder of this machine, seen through filters; owners read as 0:0, as BuildKit transfers them.

    `exclude` are .dockerignore patterns (last match wins, `!` re-includes), `include` are patterns of what to take (all
    if empty), `follow` are paths that are taken with whatever symbolic links they lead through (all if empty).
    """

    path: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    seen: Folder | None = field(default=None, repr=False)
    """What this build has read of the folder: whoever reads it again must see the same, or an error. Two trees that
    were read apart are two, for the folder may have changed in between."""


Result = Snapshot | LocalTree
"""What passes from a vertex to those that use it."""

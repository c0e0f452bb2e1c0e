"""What an exporter is given to work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from engine.values import frozen

if TYPE_CHECKING:
    from engine.blobs import BlobStore
    from engine.exporters.early import EarlyUpload
    from engine.registry.client import Registries
    from engine.snapshots.store import SnapshotStore
    from engine.state import State

Progress = Callable[[str, int, int, bool], None]
"""Tells of a part: its id, bytes done, bytes in all (0 if unknown), whether it is complete."""
Publish = Callable[[], Awaitable[None]]
"""Gives what was sent to a registry its names. Raises RegistryError."""


@frozen
class ExportContext:
    """The stores, the registries (opened when they are first needed), and a way to tell how far it is."""

    state: State
    snapshots: SnapshotStore
    blobs: BlobStore
    open_registries: Callable[[], Registries]
    progress: Progress
    early: EarlyUpload | None = None
    """Where layers go while they are packed."""
    later: list[Publish] | None = None
    """Takes what makes an image public once it is sent, for somebody to do when all targets are; None: it is done at
    once."""

    @property
    def registries(self) -> Registries:
        """The registry client."""
        return self.open_registries()

"""The stores and tools of one engine, shared by its rooms. What is costly is opened when first needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from engine.blobs import BlobStore
from engine.cache.content.contents import Contents
from engine.cache.mounts import CacheMounts
from engine.concurrency import must_wait
from engine.events import Listener
from engine.secret_values import SecretReader
from engine.snapshots.store import SnapshotStore
from engine.sources.opening import SourceContext
from engine.sources.pins import Pins
from engine.state import State

if TYPE_CHECKING:
    from engine.registry.client import Registries
    from engine.sandbox.contract import Runtime


class House:
    """The stores and tools of one engine, shared by its rooms."""

    def __init__(self, state: State, listener: Listener, runtime: str, pins: Pins | None = None) -> None:
        self.state = state
        self.listener = listener
        self.blobs = BlobStore(state)
        self.snapshots = SnapshotStore(state)
        self.contents = Contents(state)
        self.mounts = CacheMounts(state, self.snapshots)
        self.folders: dict[str, Path] = {}
        self.reader = SecretReader()
        self.project = ""
        """What tells targets of the same name apart: the folder they are built in."""
        self.begun = 0.0
        """When the build began, in seconds since the epoch."""
        self._runtime_name = runtime
        self._pins = pins

    @cached_property
    def registries(self) -> Registries:
        """The registry client, with the settings and credentials of this user. Raises MustWait inside of `run_now`."""
        must_wait()
        from engine.registry.client import Registries

        return Registries()

    @cached_property
    def sources(self) -> SourceContext:
        """What sources need."""
        return SourceContext(
            self.state,
            self.snapshots,
            self.blobs,
            lambda: self.registries,
            self.folders,
            self.reader,
            self._pins,
        )

    @cached_property
    def _runtime(self) -> Runtime:
        from engine.sandbox.runtimes import find_runtime

        return find_runtime(self._runtime_name, self.state)

    def runtime(self) -> Runtime:
        """The sandbox. Raises UnsupportedError if none is there, saying what to install."""
        return self._runtime

    async def hang_up(self) -> None:
        """Ends connections."""
        with trio.CancelScope(shield=True):
            if "registries" in self.__dict__:
                await self.registries.aclose()

    def close(self) -> None:
        """Ends everything else that was opened."""
        self.snapshots.close()
        self.state.close()

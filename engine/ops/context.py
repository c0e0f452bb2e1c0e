"""What an operation is given to run with: the stores, the sandbox, and ways to tell what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.events import Stream
from engine.llb.definition import Vertex
from engine.request import Secret, Shell, SSHAgent, StepNetwork
from engine.values import frozen

if TYPE_CHECKING:
    from engine.cache.mounts import CacheMounts
    from engine.ledger import Ledger
    from engine.sandbox.contract import Runtime
    from engine.secret_values import SecretReader
    from engine.snapshots.store import SnapshotStore

Log = Callable[[Stream, bytes], None]
"""Takes what a step writes."""


@frozen
class StepContext:
    """Given to `Operation.run`, one for each vertex."""

    vertex: Vertex
    snapshots: SnapshotStore
    mounts: CacheMounts
    runtime: Callable[[], Runtime]
    """Finds the sandbox when first needed: a build whose steps are all file operations needs none."""
    log: Log
    secrets: Mapping[str, Secret]
    reader: SecretReader
    """Reads their values."""
    agents: Mapping[str, SSHAgent]
    allowed: frozenset[str]
    """Entitlements that hold for this vertex."""
    log_path: Path | None = None
    """Where the full log is kept."""
    timeout: float | None = None
    """Seconds that the step may take."""
    network: StepNetwork = StepNetwork.SHARED
    shell: Shell | None = None
    terminal: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    """Held by the one step that has the user's terminal."""
    ledger: Ledger | None = None
    """Where layers are recorded; at once if there is none."""

"""Lays file systems over each other: the layers of one on those of the other, nothing is copied or even looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.llb.definition import Vertex
from engine.llb.go_json import tagged_digest
from engine.ops.contract import CacheMap, Dependency
from engine.results import LocalTree, Result, Snapshot

if TYPE_CHECKING:
    from engine.ops.context import StepContext


class MergeOperation:
    """A merge; what an input removes (a whiteout in one of its layers) is removed from the inputs before it, too."""

    def __init__(self, vertex: Vertex) -> None:
        assert vertex.op.merge is not None
        self._op = vertex.op.merge

    def cache_map(self) -> CacheMap:
        """BuildKit's digest; every input counts as a whole."""
        digest = tagged_digest("buildkit.merge.v0", Merge=self._op)
        return CacheMap(digest, (Dependency(),) * len(self._op.inputs))

    async def run(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """Puts the lists of layers together. Empty inputs drop out."""
        layers = [layer for result in inputs for layer in (await as_snapshot(result, context)).layers]
        return [Snapshot(tuple(layers))]


async def as_snapshot(result: Result, context: StepContext) -> Snapshot:
    """A result as layers: a folder of this machine is copied into one. Raises SourceError, StateError."""
    if not isinstance(result, LocalTree):
        return result
    import trio

    from engine.ops.file.local_layer import layer_of

    return await trio.to_thread.run_sync(layer_of, result, context.snapshots, trio.from_thread.check_cancelled)

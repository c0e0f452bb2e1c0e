"""What has to be laid over one file system to get another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import DefinitionError
from engine.llb.definition import Vertex
from engine.llb.go_json import tagged_digest
from engine.llb.ops import SCRATCH, DiffInput
from engine.ops.contract import CacheMap, Dependency
from engine.ops.merge import as_snapshot
from engine.results import Result, Snapshot

if TYPE_CHECKING:
    from engine.ops.context import StepContext


class DiffOperation:
    """A difference."""

    def __init__(self, vertex: Vertex) -> None:
        assert vertex.op.diff is not None
        self._op = vertex.op.diff
        if self._op.lower is None or self._op.upper is None:
            raise DefinitionError("a diff needs a lower and an upper side", vertex=vertex.name)
        self._sides = (self._op.lower, self._op.upper)

    def cache_map(self) -> CacheMap:
        """BuildKit's digest; both sides count as a whole."""
        digest = tagged_digest("buildkit.diff.v0", Diff=self._op)
        return CacheMap(digest, (Dependency(),) * sum(side.input != SCRATCH for side in self._sides))

    async def run(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """The layers by which upper continues lower, which nobody has to read; otherwise a layer made by comparing."""
        lower, upper = [await self._side(side, inputs, context) for side in self._sides]
        if upper.layers[: len(lower.layers)] == lower.layers:
            return [Snapshot(upper.layers[len(lower.layers) :])]
        import trio

        for side in (lower, upper):
            await context.snapshots.ensure(side, lambda _part, _done, _total, _complete: None)
        return [await trio.to_thread.run_sync(context.snapshots.diff, lower, upper)]

    async def _side(self, side: DiffInput, inputs: Sequence[Result], context: StepContext) -> Snapshot:
        if side.input == SCRATCH:
            return Snapshot()
        if not 0 <= side.input < len(inputs):
            raise DefinitionError(f"a diff names input {side.input} of {len(inputs)}")
        return await as_snapshot(inputs[side.input], context)

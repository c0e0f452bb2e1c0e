"""A vertex that changes files without running a process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.concurrency import shared_limiter
from engine.errors import NO_SPACE, SPACE_HINT, EngineError, StateError, StepError
from engine.events import Stream
from engine.llb.definition import Vertex
from engine.ops.contract import CacheMap
from engine.ops.file.chain import chains, outputs
from engine.ops.file.identity import cache_map
from engine.results import Result, Snapshot

if TYPE_CHECKING:
    import trio

    from engine.ops.context import StepContext
    from engine.ops.file.chain import Chain
    from engine.ops.file.copier import Checkpoint
    from engine.tree import Tree


_THREADS = max(2, os.cpu_count() or 1)
"""Those that copy. More than cores would take the interpreter from each other at every system call."""


def copying_limiter() -> trio.CapacityLimiter:
    """For the threads that copy."""
    return shared_limiter("copying", _THREADS)


class FileOperation:
    """Copies, folders, files, links and removals."""

    def __init__(self, vertex: Vertex) -> None:
        self._vertex = vertex
        assert vertex.op.file is not None
        self._op = vertex.op.file
        self._inputs = len(vertex.op.inputs)

    def cache_map(self) -> CacheMap:
        """BuildKit's digest of the actions; of what is copied only the content counts."""
        return cache_map(self._op, self._inputs)

    async def run(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """As `do`, in a worker thread."""
        import trio

        return await trio.to_thread.run_sync(self.do, inputs, context, limiter=copying_limiter())

    def do(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """Does the actions, in a thread that trio has begun; the inputs must be on this machine.

        Raises:
            DefinitionError: if the actions make no sense together.
            MissingError: if a source is not there.
            ChangedError: if a local file changed since its checksum was taken.
            StepError: if an action cannot be done.
            StateError: if the disk is full.
        """
        import trio

        try:
            return _Run(self._vertex, inputs, context, trio.from_thread.check_cancelled).all()
        except EngineError as error:
            raise error.at(self._vertex.note.places, self._vertex.name) from error.__cause__


class _Run:
    """One run: what each index stands for so far."""

    def __init__(self, vertex: Vertex, inputs: Sequence[Result], context: StepContext, checkpoint: Checkpoint) -> None:
        assert vertex.op.file is not None
        self._vertex = vertex
        self._actions = vertex.op.file.actions
        self._context = context
        self._checkpoint = checkpoint
        self._results: dict[int, Result] = {-1: Snapshot(), **dict(enumerate(inputs))}
        self._count = len(inputs)

    def all(self) -> list[Result | None]:
        wanted = outputs(self._actions)
        for chain in chains(self._actions, self._count):
            self._results[self._count + chain.actions[-1]] = self._layer(chain)
        return [self._results[self._count + i] for i in wanted]

    def _layer(self, chain: Chain) -> Snapshot:
        from engine.ops.file.actions import Surroundings, perform
        from engine.ops.file.layer_root import LayerRoot
        from engine.snapshots.overlay_format import overlay_format

        base = self._base(chain.base)
        snapshots = self._context.snapshots
        around = Surroundings(self._tree, self._warn, self._checkpoint)
        with snapshots.new_layer(base, self._context.ledger) as layer:
            root = LayerRoot(snapshots.tree(base), layer.place, overlay_format())
            for index in chain.actions:
                try:
                    perform(self._actions[index], root, around)
                except OSError as error:
                    raise _explained(error, layer.place) from error
            return layer.commit(self._vertex.name)

    def _base(self, index: int) -> Snapshot:
        result = self._results[index]
        if isinstance(result, Snapshot):
            return result
        from engine.ops.file.local_layer import layer_of

        return layer_of(result, self._context.snapshots, self._checkpoint)

    def _tree(self, index: int) -> Tree:
        from engine.sources.trees import tree_of

        return tree_of(self._results[index], self._context.snapshots)

    def _warn(self, message: str) -> None:
        self._context.log(Stream.STDERR, f"warning: {message}\n".encode())


def _explained(error: OSError, layer: str) -> EngineError:
    """An error of the file system, told with paths as the user knows them."""
    if error.errno in NO_SPACE:
        return StateError(f"cannot write a layer: {error.strerror}", hint=SPACE_HINT)
    name = str(error.filename2 or error.filename or "").removeprefix(layer)
    return StepError(f"{name}: {error.strerror or error}" if name else str(error.strerror or error))

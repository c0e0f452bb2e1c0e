"""From a vertex to its operation."""

from __future__ import annotations

from engine.errors import UnsupportedError
from engine.llb.definition import Vertex
from engine.ops.contract import Operation


def open_operation(vertex: Vertex) -> Operation:
    """The operation of a vertex that is no source.

    Raises UnsupportedError for an op that this engine cannot do.
    """
    op = vertex.op
    if op.exec is not None:
        from engine.ops.exec import ExecOperation

        return ExecOperation(vertex)
    if op.file is not None:
        from engine.ops.file import FileOperation

        return FileOperation(vertex)
    if op.merge is not None:
        from engine.ops.merge import MergeOperation

        return MergeOperation(vertex)
    if op.diff is not None:
        from engine.ops.diff import DiffOperation

        return DiffOperation(vertex)
    if op.passthrough is not None:
        from engine.ops.passthrough import PassthroughOperation

        return PassthroughOperation(vertex)
    kind = type(op.body).__name__ if op.body is not None else "an empty op"
    raise UnsupportedError(f"bakery cannot run {kind}", places=vertex.note.places, vertex=vertex.name)


def reads_inputs(vertex: Vertex) -> bool:
    """Whether an op looks into its inputs. Those that only rearrange layers leave them where they are."""
    return vertex.op.exec is not None or vertex.op.file is not None

"""Hands inputs on as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import DefinitionError
from engine.llb.definition import Vertex
from engine.llb.go_json import tagged_digest
from engine.ops.contract import CacheMap, Dependency
from engine.results import Result

if TYPE_CHECKING:
    from engine.ops.context import StepContext


class PassthroughOperation:
    """A passthrough: output i is the input that `outputs[i]` names."""

    def __init__(self, vertex: Vertex) -> None:
        assert vertex.op.passthrough is not None
        self._op = vertex.op.passthrough
        self._inputs = len(vertex.op.inputs)
        if not self._op.id or not self._op.outputs:
            raise DefinitionError("a passthrough needs an id and outputs", vertex=vertex.name)
        if wrong := [index for index in self._op.outputs if not 0 <= index < self._inputs]:
            message = f"a passthrough names input {wrong[0]} of {self._inputs}"
            raise DefinitionError(message, vertex=vertex.name)

    def cache_map(self) -> CacheMap:
        """BuildKit's digest; every input counts as a whole."""
        return CacheMap(tagged_digest("buildkit.passthrough.v0", Passthrough=self._op), (Dependency(),) * self._inputs)

    async def run(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """The inputs, in the order asked for."""
        return [inputs[index] for index in self._op.outputs]

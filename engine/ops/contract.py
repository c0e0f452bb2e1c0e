"""What an operation is to the solver: something with a cache map that can be run. The solver knows no more of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.digests import Digest
from engine.results import Result
from engine.values import frozen

if TYPE_CHECKING:
    from engine.ops.context import StepContext


@frozen
class Selection:
    """Paths of a tree whose content counts, as one path or pattern of a COPY or a mount asks for it.

    The checksum follows BuildKit's `contenthash` (reference: buildkit.md §4).
    """

    path: str
    wildcard: bool = False
    follow_links: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


@frozen
class Dependency:
    """How one input of an op counts for its cache key.

    `selector` qualifies the input's key ("only this part of it"). `content`, where not None, says that the checksum of
    these selections may stand for the input: it is then a hit when the content is the same, whatever made it.
    """

    selector: Digest | None = None
    content: tuple[Selection, ...] | None = None


@frozen
class CacheMap:
    """The identity of an operation apart from its inputs: equal digests on equal inputs give equal results.

    `digest` is BuildKit's cache digest of the op (buildkit.md §3), so that caches can be exchanged.
    """

    digest: Digest
    dependencies: tuple[Dependency, ...] = ()
    versions: tuple[str, ...] = ()
    """Versions of secrets that are part of the digest, each as `id=version`: told where a reason is asked for."""


class Operation(Protocol):
    """One op of a vertex, ready to be asked and run."""

    def cache_map(self) -> CacheMap:
        """Its identity; pure hashing, no I/O."""
        ...

    async def run(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """Does it. One result for each output of the vertex, None where an output is empty.

        Cancelled by trio: nothing may be left behind then. Raises EngineError.
        """
        ...

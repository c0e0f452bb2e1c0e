"""What the engine tells while it works. The console, rawjson output and history are made of these alone.

Times are seconds since the epoch. A vertex may start and complete several times (a look-up, then the run).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum

from engine.digests import Digest
from engine.llb.definition import Place
from engine.llb.ops import ProgressGroup
from engine.values import frozen


class Stream(IntEnum):
    """Where a step wrote."""

    STDOUT = 1
    STDERR = 2


@frozen
class VertexKnown:
    """A vertex that the build wants. `targets` are the names of those that want it; internal ones have none."""

    digest: Digest
    name: str
    inputs: tuple[Digest, ...] = ()
    group: ProgressGroup | None = None
    targets: tuple[str, ...] = ()


@frozen
class VertexStarted:
    """Work on a vertex begins."""

    digest: Digest
    time: float


@frozen
class VertexCompleted:
    """Work on a vertex has ended. `cached`: nothing was done; `error`: why it failed, empty if it did not."""

    digest: Digest
    time: float
    cached: bool = False
    error: str = ""
    cancelled: bool = False


@frozen
class LogChunk:
    """What a step wrote: any bytes, not lines."""

    digest: Digest
    stream: Stream
    data: bytes
    time: float


@frozen
class Status:
    """Progress of a part of a vertex, such as one layer of a pull; `current` and `total` in bytes, 0 if unknown."""

    digest: Digest
    id: str
    current: int
    total: int
    started: float
    time: float
    completed: bool = False


@frozen
class Warned:
    """A warning that belongs to a vertex."""

    digest: Digest
    short: str
    detail: tuple[str, ...] = ()
    url: str = ""
    level: int = 1
    places: tuple[Place, ...] = ()


class How(Enum):
    """What the solver decided about a vertex that was not simply known by its definition."""

    CONTENT = "content"  # known, by the content of its inputs
    EQUAL = "equal"  # another vertex of this build does the same work
    RUN = "run"


@frozen
class Change:
    """One thing that is not as it was when the step was last built.

    `kind` is one of file, argument, variable, command, option, secret, base, source, input, step. `before` and `after`
    are what may be shown, None where there was or is nothing: a file that has both only changed its content or mode.
    """

    kind: str
    name: str
    before: str | None = None
    after: str | None = None


@frozen
class Decided:
    """What was decided about a vertex, and why, told where it is decided: before the vertex starts.

    A vertex of which this is not told was known by its definition, or never looked at. `cause` is a word of
    `engine.solver.reasons.Cause`, empty unless it must run; `more` says how many changes were left out.
    """

    digest: Digest
    how: How
    cause: str = ""
    changes: tuple[Change, ...] = ()
    more: int = 0


@frozen
class TargetEnded:
    """A target has ended, with its outputs written or not. `outcome` is a word of `engine.request.Outcome`."""

    name: str
    time: float
    outcome: str


VertexEvent = VertexKnown | VertexStarted | VertexCompleted | LogChunk | Status | Warned | Decided
"""What belongs to a vertex, by `digest`."""
Event = VertexEvent | TargetEnded
Listener = Callable[[Event], None]
"""Called in the engine's thread for each event, in order; must return at once and never raise."""

"""What happens to vertices, told to the listener."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.digests import Digest
from engine.errors import EngineError, StepError
from engine.events import Change, Decided, How, Listener, VertexCompleted, VertexStarted
from engine.llb.definition import Vertex

CANCELLED = "context canceled"


class Teller:
    """Makes the events of vertices."""

    def __init__(self, listener: Listener, clock: Callable[[], float]) -> None:
        self.tell = listener
        """Takes any event."""
        self.clock = clock

    def started(self, vertex: Digest) -> float:
        """Work begins; when that is."""
        now = self.clock()
        self.tell(VertexStarted(vertex, now))
        return now

    def completed(self, vertex: Digest) -> float:
        """Work has ended well; when that is."""
        now = self.clock()
        self.tell(VertexCompleted(vertex, now))
        return now

    def cancelled(self, vertex: Digest) -> None:
        """Work was ended from outside."""
        self.tell(VertexCompleted(vertex, self.clock(), cancelled=True, error=CANCELLED))

    def cached(self, vertices: Iterable[Digest], how: How | None = None) -> None:
        """Nothing had to be done; `how` says why if their definition was not known before."""
        now = self.clock()
        for vertex in vertices:
            if how is not None:
                self.tell(Decided(vertex, how))
            self.tell(VertexStarted(vertex, now))
            self.tell(VertexCompleted(vertex, now, cached=True))

    def must_run(self, vertex: Digest, cause: str, changes: tuple[Change, ...], more: int) -> None:
        """It is decided that work must be done, and why."""
        self.tell(Decided(vertex, How.RUN, cause, changes, more))

    def failed(self, vertex: Vertex, error: EngineError) -> EngineError:
        """The error with its place, told once as the vertex's own."""
        error.at(vertex.note.places, vertex.name)
        now = self.clock()
        if not isinstance(error, StepError):
            self.tell(VertexStarted(vertex.digest, now))
        self.tell(VertexCompleted(vertex.digest, now, error=error.message))
        return error

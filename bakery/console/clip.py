"""A limit on what one step may say: 2 MiB in all and 200 KiB a second, as BuildKit has it.

What is beyond the limit is left out of the stream, but for the end of it, which is where the reasons are: the last
256 KiB that were held back are shown when the step completes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace

from bakery.console.text import binary_size
from bakery.values import frozen, record
from engine.digests import Digest
from engine.events import Event, LogChunk, Stream, VertexCompleted

KEPT_BACK = 256 * 1024


@frozen
class Limits:
    """Bytes for each stream of a step, in all and for each second it has run; -1 for no limit."""

    size: int = 2 * 1024 * 1024
    speed: int = 200 * 1024

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Limits:
        """The limits that an environment sets. What is no number counts as not set, as in BuildKit."""
        return cls(
            _number(env.get("BUILDKIT_STEP_LOG_MAX_SIZE"), cls().size),
            _number(env.get("BUILDKIT_STEP_LOG_MAX_SPEED"), cls().speed),
        )

    def at(self, seconds: float) -> tuple[int | None, str]:
        """How many bytes may have been written after some seconds, and the name of the limit that says so."""
        by_speed = max(1, math.ceil(seconds)) * self.speed
        if self.speed != -1 and (self.size == -1 or by_speed <= self.size):
            return by_speed, f"{binary_size(self.speed)}/s"
        if self.size != -1:
            return self.size, binary_size(self.size)
        return None, ""


@record
class _Flow:
    """One stream of one step."""

    began: float
    written: int = 0
    clipping: bool = False
    held: bytearray = field(default_factory=bytearray)
    last: LogChunk | None = None


class Clip:
    """Passes events on, with the logs cut to the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._flows: dict[Digest, dict[Stream, _Flow]] = {}

    def __call__(self, event: Event) -> Iterable[Event]:
        """The events to show in place of this one."""
        if isinstance(event, LogChunk):
            return self._log(event)
        if isinstance(event, VertexCompleted) and event.digest in self._flows:
            return self._end(event)
        return (event,)

    def _end(self, event: VertexCompleted) -> Iterator[Event]:
        for flow in self._flows.pop(event.digest).values():
            if flow.held and flow.last:
                yield replace(flow.last, data=bytes(flow.held), time=event.time)
        yield event

    def _log(self, chunk: LogChunk) -> Iterator[Event]:
        flow = self._flows.setdefault(chunk.digest, {}).setdefault(chunk.stream, _Flow(chunk.time))
        allowed, limit = self._limits.at(chunk.time - flow.began)
        room = len(chunk.data) if allowed is None else max(0, allowed - flow.written)
        flow.written += len(chunk.data)
        shown, rest = chunk.data[:room], chunk.data[room:]
        if rest or flow.held:
            flow.held += rest
            del flow.held[:-KEPT_BACK]
            flow.last = chunk
        if rest and not flow.clipping:
            shown += f"\n[output clipped, log limit {limit} reached]\n".encode()
        flow.clipping = bool(rest)
        if shown:
            yield replace(chunk, data=shown)


def _number(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default

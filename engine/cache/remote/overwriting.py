"""A reference in a registry written where others may be writing to it: whose cache ours takes the place of.

A registry has no way to write only if nothing has changed: who looks and then writes undoes whoever wrote in between.
So both look. Who has written waits for `pause`, and looks whether it still stands there. And who writes looks all the
while, every `OFTEN` seconds, for a slow line may bring a manifest when those it undoes are long gone; what is named no
more can still be had by its digest. Nobody looks between the last of these looks and the moment in which the registry
takes the manifest in: if that is shorter than the others' `pause`, nothing is lost.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from engine.digests import Digest
from engine.errors import EngineError
from engine.exporters.layers import first_error

OFTEN = 0.2
"""Seconds from one look to the next."""
AT_ONCE = 20
"""Looks that may be without an answer at the same time."""
_LEAST, _MOST = 0.5, 5.0
_LATE = 5.0
"""Seconds for the answers to looks that were sent before the write had ended."""


def pause(took: float) -> float:
    """Seconds after which to look whether what was written still stands there.

    `took`: seconds from looking to having written. Others on the same registry may need as much, so that is what they
    are given, within limits; a bit of chance keeps those who met once from doing so again and again.
    """
    return min(max(_LEAST, took), _MOST) * random.uniform(1.0, 1.5)


async def write_looking(
    write: Callable[[], Awaitable[None]], look: Callable[[], Awaitable[Digest | None]]
) -> list[Digest]:
    """Writes, and looks all the while what stands there; all that was seen.

    Looks that fail tell nothing. Raises whatever `write` does.
    """
    seen: dict[Digest, None] = {}

    async def once() -> None:
        with suppress(EngineError):
            if there := await look():
                seen[there] = None

    async def again(*, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            while True:
                await trio.sleep(OFTEN)
                if len(nursery.child_tasks) <= AT_ONCE:
                    nursery.start_soon(once)

    try:
        async with trio.open_nursery() as nursery:
            looking: trio.CancelScope = await nursery.start(again)
            await write()
            looking.cancel()
            nursery.cancel_scope.deadline = trio.current_time() + _LATE
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    return list(seen)

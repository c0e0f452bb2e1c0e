"""Several things at once, with trio; without it the same code, as long as nothing has to be waited for.

Importing trio takes longer than finding out that a build has nothing to do. So what leads up to that is written with
the functions here. As a rule they use trio's tasks and threads. Inside of `run_now` they do one thing after the other,
and raise `MustWait` where only trio can go on; whoever called `run_now` then starts it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class MustWait(BaseException):
    """Something must be waited for, and nobody is there to do it. No Exception: it is for the caller of `run_now`."""


_now = ContextVar("now", default=False)


def must_wait() -> None:
    """Said where something begins that takes its time. Raises MustWait inside of `run_now`."""
    if _now.get():
        raise MustWait


def run_now(function: Callable[[*Ts], Coroutine[Any, Any, T]], *arguments: *Ts) -> T:
    """The result of an async function that has nothing to wait for.

    Raises:
        MustWait: if it has.
    """
    coroutine = function(*arguments)
    token = _now.set(True)
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        coroutine.close()
        _now.reset(token)
    raise MustWait


async def in_thread(function: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """The result of a function that may take its time: called in a thread, inside of `run_now` at once."""
    if _now.get():
        return function(*arguments)
    import trio

    return await trio.to_thread.run_sync(function, *arguments)


async def all_at_once(function: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Calls an async function with each item. The first error cancels the other calls and is raised."""
    each = list(items)
    if len(each) == 1 or _now.get():
        for item in each:
            await function(item)
        return
    import trio

    failed: list[Exception] = []

    async def one(item: T) -> None:
        try:
            await function(item)
        except Exception as error:  # kept out of the nursery, which would wrap it in a group
            failed.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for item in each:
            nursery.start_soon(one, item)
    if failed:
        raise failed[0]


def shared_limiter(what: str, threads: int) -> trio.CapacityLimiter:
    """The one limiter for `what` in this run of trio, for so many threads.

    Never one for the process: a run in another thread that frees a place would wake our task in its own loop.
    """
    import trio

    variable = _limiters()
    try:
        limiters = variable.get()
    except LookupError:
        variable.set(limiters := {})
    return limiters.setdefault(what, trio.CapacityLimiter(threads))


@cache
def _limiters() -> trio.lowlevel.RunVar[dict[str, trio.CapacityLimiter]]:
    import trio

    return trio.lowlevel.RunVar("limiters")


class Turns:
    """A lock: one task at a time is inside. Inside of `run_now` there is only one anyway."""

    def __init__(self) -> None:
        self._lock: trio.Lock | None = None

    async def __aenter__(self) -> None:
        if not _now.get():
            import trio

            self._lock = self._lock or trio.Lock()
            await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        if not _now.get() and self._lock is not None:
            self._lock.release()


class Moment:
    """Something that happens once, and can be waited for."""

    def __init__(self) -> None:
        self._over = False
        self._event: trio.Event | None = None

    def set(self) -> None:
        """It has happened."""
        self._over = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Returns when it has happened. Raises MustWait inside of `run_now`, if it has not."""
        if self._over:
            return
        must_wait()
        import trio

        if self._event is None:
            self._event = trio.Event()
        await self._event.wait()

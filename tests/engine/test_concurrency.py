"""The same code with trio and without: at once and in threads, or one after the other until something must wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio
import trio.testing

from engine.concurrency import Moment, MustWait, Turns, all_at_once, in_thread, must_wait, run_now, shared_limiter


def test_what_never_waits_needs_no_trio() -> None:
    async def work(number: int) -> int:
        seen: list[int] = []

        async def one(item: int) -> None:
            async with Turns():
                seen.append(await in_thread(lambda: item * 2))

        await all_at_once(one, range(number))
        return sum(seen)

    assert run_now(work, 4) == 12


def test_without_trio_nothing_is_given_to_a_thread() -> None:
    assert run_now(in_thread, threading.get_ident) == threading.get_ident()
    assert trio.run(in_thread, threading.get_ident) != threading.get_ident()


def test_whoever_must_wait_says_so() -> None:
    async def work() -> None:
        must_wait()

    async def sleep() -> None:
        await Moment().wait()

    for waiting in (work, sleep):
        with pytest.raises(MustWait):
            run_now(waiting)
    trio.run(work)


def test_must_wait_holds_for_functions_that_are_no_coroutines_and_ends_with_run_now() -> None:
    def inside() -> None:
        must_wait()

    with pytest.raises(MustWait):
        run_now(in_thread, inside)
    inside()
    trio.run(in_thread, inside)


def test_what_waits_in_a_way_of_its_own_is_stopped() -> None:
    ended = []

    class Stubborn:
        def __await__(self):  # type: ignore[no-untyped-def]
            yield "something that nobody understands"

    async def work() -> None:
        try:
            await Stubborn()
        finally:
            ended.append(True)

    with pytest.raises(MustWait):
        run_now(work)
    assert ended


def test_under_trio_the_first_error_stops_the_others_and_comes_bare() -> None:
    stopped = []

    async def one(item: str) -> None:
        if item == "bad":
            raise ValueError(item)
        try:
            await trio.sleep_forever()
        finally:
            stopped.append(item)

    with pytest.raises(ValueError, match="bad"):
        trio.run(all_at_once, one, ["first", "second", "bad"])
    assert sorted(stopped) == ["first", "second"]


def test_of_turns_one_task_at_a_time_is_inside_also_when_they_began_without_trio() -> None:
    turns = Turns()
    inside: list[int] = []
    most: list[int] = []

    async def one(item: int) -> None:
        async with turns:
            inside.append(item)
            most.append(len(inside))
            await trio.lowlevel.checkpoint()
            inside.remove(item)

    async def waiting() -> None:
        async with turns:
            must_wait()

    with pytest.raises(MustWait):
        run_now(waiting)
    trio.run(all_at_once, one, range(5))
    assert max(most) == 1


def test_a_moment_that_has_come_is_not_waited_for() -> None:
    moment = Moment()
    moment.set()
    run_now(moment.wait)

    async def two() -> None:
        later = Moment()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(later.wait)
            await trio.testing.wait_all_tasks_blocked()
            later.set()

    trio.run(two)


def test_each_run_of_trio_has_limiters_of_its_own() -> None:
    async def limiters() -> tuple[trio.CapacityLimiter, trio.CapacityLimiter, trio.CapacityLimiter]:
        return shared_limiter("copying", 2), shared_limiter("copying", 2), shared_limiter("locks", 1000)

    with ThreadPoolExecutor(2) as pool:
        (first, again, other), (elsewhere, _, _) = pool.map(trio.run, [limiters, limiters])
    assert first is again
    assert (first.total_tokens, other.total_tokens) == (2, 1000)
    assert elsewhere is not first

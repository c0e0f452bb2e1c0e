"""How much work one evaluation may do: what keeps nested loops and costly functions from running for hours.

Work is counted in units of some microseconds: an iteration of a loop is one, a call is one more for each eight members
or pieces of text of its arguments. The evaluations that one evaluation leads to (of variables, in user functions) share
its allowance.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, TypeVar

from bakery.config.values import LimitError, Value

T = TypeVar("T")

MAX_WORK: Final = 1_000_000

_done: ContextVar[list[int] | None] = ContextVar("work done", default=None)


def with_allowance(work: Callable[[], T]) -> T:
    """The result of some work. What it takes adds up with that of the work it belongs to, if it belongs to any."""
    if _done.get() is not None:
        return work()
    token = _done.set([0])
    try:
        return work()
    finally:
        _done.reset(token)


def charge(units: int) -> None:
    """Count some work. Raises LimitError once the allowance is used up."""
    done = _done.get()
    if done is not None:
        done[0] += units
        if done[0] > MAX_WORK:
            raise LimitError(f"An expression may take {MAX_WORK} steps to evaluate; this takes more")


def charge_values(*values: Value) -> None:
    """Count the work of looking through values."""
    charge(1 + (sum(value.weight for value in values) >> 3))

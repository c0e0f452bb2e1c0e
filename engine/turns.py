"""Threads that take turns at small work.

Work of many short system calls gains nothing from a second thread: at the end of each call both want the interpreter,
and waking each other takes longer than the calls do. So such work is done in turns: a thread keeps its turn from one
small step to the next, and lets others have it while the kernel, or a library in C, is at something big.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_turn = threading.Lock()
_mine = threading.local()


@contextmanager
def in_turn() -> Iterator[None]:
    """Inside, no other thread of this process is in such a block, but while this one is `out_of_turn`."""
    with _turn:
        _mine.held = True
        try:
            yield
        finally:
            _mine.held = False


@contextmanager
def out_of_turn() -> Iterator[None]:
    """Lets other threads have the turn meanwhile, if this one has it."""
    if not getattr(_mine, "held", False):
        yield
        return
    _mine.held = False
    _turn.release()
    try:
        yield
    finally:
        _turn.acquire()
        _mine.held = True

"""The one place where a step starts and dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.sandbox.contract import Runtime
    from engine.state import State


def find_runtime(name: str, state: State) -> Runtime:
    """A runtime by its name (`native`, `bubblewrap`, `crun`, `runc`); empty for the default.

    Raises:
        UnsupportedError: where it is not installed, or not known.
    """
    from engine.sandbox import runtimes

    return runtimes.find_runtime(name, state)

"""What verbs share that work on registries without building."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from engine.registry.client import Registries

T = TypeVar("T")


def run(work: Callable[[Registries], Coroutine[Any, Any, T]]) -> T:
    """Does something with the registries."""
    import trio

    async def inside() -> T:
        from engine.registry.client import Registries

        async with Registries() as registries:
            return await work(registries)

    return trio.run(inside)


def printable(text: str) -> str:
    """What a registry or an image says must not move the cursor."""
    return "".join(c if c.isprintable() else "�" for c in text)

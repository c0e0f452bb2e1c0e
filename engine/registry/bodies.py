"""Bodies of answers of which nobody has promised how long they are."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


async def read_at_most(response: httpx2.Response, limit: int) -> bytes | None:
    """A whole body of up to `limit` bytes; None where there are more, which are left to the connection's end.

    Raises httpx2.TransportError where it is cut.
    """
    data = bytearray()
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            data += piece
            if len(data) > limit:
                return None
    return bytes(data)

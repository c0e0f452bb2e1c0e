"""Requests to object services: with patience, and errors that say who refused what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from engine.errors import SourceError
from engine.registry.connections import USER_AGENT
from engine.registry.retry import Patience, persist

if TYPE_CHECKING:
    import ssl

    import httpx2

PIECE = 1 << 20
_EVIDENCE = 400
"""Bytes of an answer that are shown when it was a refusal."""


class Caller:
    """Makes requests to one service; `service` is what errors call it."""

    def __init__(self, service: str, patience: Patience | None = None) -> None:
        self._service = service
        self._patience = patience or Patience()

    @asynccontextmanager
    async def answer(
        self, make: Callable[[httpx2.AsyncClient], httpx2.Request], allowed: tuple[int, ...] = ()
    ) -> AsyncIterator[httpx2.Response]:
        """The answer to a request, its body unread. `make` makes the request anew for each attempt.

        Raises:
            SourceError: if there is no answer, or one that is neither a success nor `allowed`.
        """
        import httpx2

        timeout = httpx2.Timeout(self._patience.silence, connect=self._patience.connect, pool=None)
        headers = {"user-agent": USER_AGENT, "accept-encoding": "identity"}
        async with httpx2.AsyncClient(timeout=timeout, headers=headers, verify=_certificates()) as client:

            def attempt() -> Awaitable[httpx2.Response]:
                return client.send(make(client), stream=True)

            try:
                response = await persist(attempt, self._patience)
                try:
                    if not response.is_success and response.status_code not in allowed:
                        raise await self._refusal(response)
                    yield response
                finally:
                    await response.aclose()
            except httpx2.TransportError as error:
                reason = str(error) or type(error).__name__
                raise SourceError(f"{self._service} cannot be reached: {reason}") from error

    async def _refusal(self, response: httpx2.Response) -> SourceError:
        data = b""
        async for piece in response.aiter_raw():
            data += piece
            if len(data) > _EVIDENCE:
                break
        evidence = " ".join(data[:_EVIDENCE].decode("utf-8", "replace").split())
        return SourceError(f"{self._service} answers {response.status_code}" + (f": {evidence}" if evidence else ""))


@cache
def _certificates() -> ssl.SSLContext:
    """The certificates that are trusted, read once: it takes longer than a request."""
    import ssl

    return ssl.create_default_context()


async def read_all(response: httpx2.Response, limit: int, what: str) -> bytes:
    """An answer's body of at most `limit` bytes. Raises SourceError."""
    data = bytearray()
    async for piece in response.aiter_raw(PIECE):
        data += piece
        if len(data) > limit:
            raise SourceError(f"{what} is bigger than the {limit} bytes allowed")
    return bytes(data)

"""A running Docker engine (or Podman's twin of it): images go into its store through its socket.

API: Docker Engine API, `POST /images/load` and `GET /images/NAME/json`; paths without a version mean the
engine's own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from engine.errors import ExportError
from engine.exporters.destination import Output
from engine.exporters.layers import first_error

if TYPE_CHECKING:
    import ssl

    import httpx2
    import trio

    from engine.exporters.docker_context import EngineAddress

_PIECES = 8
"""Pieces of an archive that may wait to be sent."""
_SILENCE = 300.0
"""Seconds the engine may unpack without a word."""


async def load(address: EngineAddress, write: Callable[[Output], None]) -> None:
    """Sends an archive in docker's format, which `write` writes in a thread, into the engine's store.

    Raises:
        ExportError: if the engine cannot be reached, or does not take it.
    """
    import trio

    send, receive = trio.open_memory_channel[bytes](_PIECES)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write, write, send)
            await _post(address, _pieces(receive))
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise first_error(group) from None


async def _post(address: EngineAddress, archive: AsyncIterator[bytes]) -> None:
    import httpx2

    headers = {"content-type": "application/x-tar"}
    try:
        async with (
            _client(address) as client,
            client.stream("POST", "/images/load?quiet=1", content=archive, headers=headers) as response,
        ):
            await _check(response)
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise ExportError(f"cannot load into the Docker engine at {address}: {reason}") from error


async def loaded_image(address: EngineAddress, name: str) -> str:
    """The ID of the image that a name means in the engine, empty if it has none. Raises ExportError."""
    import httpx2

    try:
        async with _client(address) as client:
            response = await client.get(f"/images/{quote(name, safe='/:@')}/json")
    except httpx2.HTTPError as error:
        raise ExportError(f"cannot ask the Docker engine at {address}: {error}") from error
    try:
        found: dict[str, Any] = json.loads(response.content) if response.status_code == 200 else {}
        return str(found.get("Id", ""))
    except (ValueError, AttributeError):
        return ""


@asynccontextmanager
async def _client(address: EngineAddress) -> AsyncIterator[httpx2.AsyncClient]:
    import httpx2

    scheme, _, rest = address.url.partition("://")
    if scheme == "unix":
        transport, base = httpx2.AsyncHTTPTransport(uds=rest), "http://docker"
    elif address.secure:
        transport, base = httpx2.AsyncHTTPTransport(verify=_tls(address)), f"https://{rest}"
    else:
        transport, base = httpx2.AsyncHTTPTransport(), f"http://{rest}"
    async with httpx2.AsyncClient(transport=transport, base_url=base, timeout=httpx2.Timeout(_SILENCE)) as client:
        yield client


def _tls(address: EngineAddress) -> ssl.SSLContext:
    """The engine's authority, else those that this machine trusts; and our own certificate, if there is one."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=address.authority)
        if not address.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if address.own:
            context.load_cert_chain(*address.own)
    except (OSError, ssl.SSLError) as error:
        files = address.own[0].parent if address.own else address.authority
        raise ExportError(
            f"cannot use the certificates of the Docker engine in {files}: {error}",
            hint="DOCKER_CERT_PATH names a folder with ca.pem, cert.pem and key.pem",
        ) from error
    return context


class _Channel:
    """A stream whose bytes go into a channel, from a thread."""

    def __init__(self, send: trio.MemorySendChannel[bytes]) -> None:
        self._send = send

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        import trio

        trio.from_thread.run(self._send.send, bytes(data))


async def _write(write: Callable[[Output], None], send: trio.MemorySendChannel[bytes]) -> None:
    import trio

    async with send:
        try:
            await trio.to_thread.run_sync(write, _Channel(send))
        except trio.BrokenResourceError:
            return  # the engine has answered before the end: it says why


async def _pieces(receive: trio.MemoryReceiveChannel[bytes]) -> AsyncIterator[bytes]:
    async with receive:
        async for piece in receive:
            yield piece


async def _check(response: httpx2.Response) -> None:
    """The engine answers 200 as soon as it has begun; how it ended is among the lines that follow."""
    said = (await response.aread()).decode(errors="replace")
    error = "" if response.status_code == 200 else f"{response.status_code}: {said.strip()[:300]}"
    for line in said.splitlines():
        try:
            item = json.loads(line)
        except ValueError:
            continue
        if isinstance(item, dict) and (item.get("error") or (error and item.get("message"))):
            error = str(item.get("error") or item["message"])
    if error:
        raise ExportError(f"the Docker engine does not take the image: {error}")

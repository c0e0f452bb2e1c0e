"""A big blob straight from its file into an upload: one request over a line of our own, sent by the kernel."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import BufferedReader
from typing import BinaryIO, Protocol
from urllib.parse import urljoin

import trio

from engine.errors import RegistryError
from engine.registry.auth import Scope
from engine.registry.line import Address, Head, Line
from engine.registry.pull import Repository
from engine.registry.retry import Patience
from engine.values import frozen

OK = (202, 204)
"""What a registry answers to a piece of an upload that it has taken."""
_PIECE = 4 << 20

Sent = Callable[[int], None]
"""Told how many bytes of the blob have been sent."""


class FileBody(Protocol):
    """A file to send, which may still be written."""

    @property
    def fd(self) -> int:
        """The file, opened for reading."""

    @property
    def length(self) -> int | None:
        """Its bytes; None where they are not known yet."""

    def beyond(self, done: int) -> int:
        """Waits in a thread of trio's until there are more bytes than that, or will never be; how many there are."""


@frozen
class WholeFile:
    """A file that is there."""

    fd: int
    length: int

    def beyond(self, done: int) -> int:
        """All of it."""
        return self.length


def whole_file(file: BinaryIO, size: int) -> WholeFile | None:
    """What was opened, if it is nothing but a file of that size; not, for instance, one that is verified by reading."""
    if not isinstance(file, BufferedReader):
        return None
    info = os.fstat(file.fileno())
    return WholeFile(file.fileno(), size) if stat.S_ISREG(info.st_mode) and info.st_size == size else None


async def patch_directly(
    repository: Repository, location: str, scopes: frozenset[Scope], what: str, body: FileBody, sent: Sent
) -> str | None:
    """Sends a whole body to an upload: where the upload goes on, or None where only the HTTP client knows the way.

    `what` reads like `push the blob X`; `sent` is told in this task's thread how many bytes are on their way.

    Raises:
        RegistryError: if it was refused or cut; what was received before is kept by the registry.
    """
    transport = repository.transport
    address = transport.address(location, scopes)
    if address is None:
        return None
    token = trio.lowlevel.current_trio_token()

    def tell(count: int) -> None:
        token.run_sync_soon(sent, count)

    try:
        head = await trio.to_thread.run_sync(_patch, address, transport.patience, body, tell)
    except OSError as error:
        raise RegistryError(f"cannot {what}: the connection to {transport.host} was cut ({error})") from error
    if head.status not in OK:
        raise RegistryError(f"cannot {what}: {transport.host} answered {head.line}", status=head.status)
    return urljoin(location, head.fields.get("location", ""))


def _patch(address: Address, patience: Patience, body: FileBody, sent: Sent) -> Head:
    headers = {"content-type": "application/octet-stream"}
    if body.length is None:
        headers["transfer-encoding"] = "chunked"
    else:
        headers["content-length"] = str(body.length)
    with Line(address, patience) as line:
        line.ask("PATCH", headers)
        send = _send_chunk if body.length is None else Line.send_file
        done = 0
        # Who answers before the end has seen enough.
        while not line.has_answer:
            end = body.beyond(done)
            trio.from_thread.check_cancelled()
            if end <= done:
                if body.length is None:
                    line.send(b"0\r\n\r\n")
                break
            count = min(_PIECE, end - done)
            send(line, body.fd, done, count)
            done += count
            sent(done)
        return line.head()


def _send_chunk(line: Line, fd: int, start: int, count: int) -> None:
    """A part of a body whose length nobody knows (RFC 9112 §7.1)."""
    line.send(b"%x\r\n" % count, more=True)
    line.send_file(fd, start, count)
    line.send(b"\r\n", more=True)

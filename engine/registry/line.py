"""A connection of our own for one big body, driven by a thread: the kernel moves the bytes, the event loop does not.

The HTTP client finds out where something is (logins, redirects, mirrors). What follows is one HTTP/1.1 request by hand
(RFC 9112), whose body is received straight into the buffer of whoever unpacks it, or sent straight from a file:
handing the event loop 64 KiB at a time took as long as the work on them.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Self

import trio

from engine.errors import RegistryError
from engine.values import frozen

if TYPE_CHECKING:
    import ssl

    from engine.registry.retry import Patience

LEAST = 4 << 20
"""Bytes from which on a body is worth a connection of its own."""
_TICK = 0.5
"""Seconds after which a silent line is looked up from, to see whether anybody still waits."""
_MAX_HEAD = 64 << 10
_PIECE = 1 << 20


@frozen
class Address:
    """Where something is for now: a URL with what to say there."""

    host: str
    port: int
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None


@frozen
class Head:
    """The start of an answer: its status, and its header fields by their names in lower case."""

    status: int
    line: str
    fields: Mapping[str, str]


def is_proxied(environ: Mapping[str, str]) -> bool:
    """Whether connections may have to go through a proxy: then only the HTTP client knows how."""
    return any(environ.get(name) or environ.get(name.lower()) for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))


class Line:
    """One connection, for a worker thread of trio's. Used as a context manager, or closed by hand."""

    def __init__(self, address: Address, patience: Patience) -> None:
        """Connects. Raises OSError."""
        self._address = address
        self._silence = patience.silence
        self._early = b""
        line = socket.create_connection((address.host, address.port), patience.connect)
        try:
            if address.tls is not None:
                line = address.tls.wrap_socket(line, server_hostname=address.host)
            line.settimeout(_TICK)
        except BaseException:
            line.close()
            raise
        self._socket = line

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, method: str, headers: Mapping[str, str]) -> None:
        """Sends the start of a request; the connection ends with its answer. Raises OSError."""
        at = self._address
        fields = {**at.headers, **headers, "connection": "close"}
        text = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        self.send(f"{method} {at.target} HTTP/1.1\r\n{text}\r\n".encode("latin-1"))

    def send(self, data: bytes, *, more: bool = False) -> None:
        """Sends some bytes; where `more` follow, they need not go on their own. Raises OSError."""
        view = memoryview(data)
        # TLS knows no flags, and makes records of its own anyway.
        flags = socket.MSG_MORE if more and self._address.tls is None else 0
        while view:
            view = view[self._patiently(partial(self._socket.send, view, flags)) :]

    def send_file(self, fd: int, start: int, count: int) -> None:
        """Sends a part of a file, which has it. Raises OSError."""
        end = start + count
        while start < end:
            if self._address.tls is None:
                start += self._patiently(partial(self._send_file, fd, start, end - start))
            else:
                piece = os.pread(fd, min(_PIECE, end - start), start)
                self.send(piece)
                start += len(piece)

    def _send_file(self, fd: int, start: int, count: int) -> int:
        try:
            return os.sendfile(self._socket.fileno(), fd, start, count)
        except BlockingIOError:
            if self._is_ready(select.POLLOUT, _TICK):
                return 0
            raise TimeoutError from None

    @property
    def has_answer(self) -> bool:
        """Whether something has come, or the other side has hung up. Under TLS that cannot be told without reading."""
        return self._address.tls is None and self._is_ready(select.POLLIN, 0)

    def head(self) -> Head:
        """The start of the answer.

        Raises:
            RegistryError: if it is none.
            OSError: if the line is cut, or says nothing for too long.
        """
        head = b""
        buffer = memoryview(bytearray(_MAX_HEAD))
        while b"\r\n\r\n" not in head:
            count = self._patiently(partial(self._socket.recv_into, buffer))
            if not count or len(head) > _MAX_HEAD:
                raise RegistryError("there was no proper answer")
            head += buffer[:count]
        head, _, self._early = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = "".join(lines[0].split(" ")[1:2])
        fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
        return Head(int(status) if status.isdecimal() else 0, lines[0][:100], fields)

    def receive(self, buffer: memoryview, wanted: int) -> int:
        """Puts bytes of the answer's body into a buffer until it is full or has as many as are wanted; fewer only
        where the body ends. Raises OSError."""
        if self._early:
            count = min(len(self._early), len(buffer))
            buffer[:count], self._early = self._early[:count], self._early[count:]
            return count
        filled = 0
        while filled < min(wanted, len(buffer)):
            got = self._patiently(partial(self._socket.recv_into, buffer[filled:]))
            if not got:
                break
            filled += got
        return filled

    def _patiently(self, move: Callable[[], int]) -> int:
        """How many bytes were moved, waited for as long as patience allows. Raises TimeoutError, OSError."""
        waited = 0.0
        while True:
            try:
                return move()
            except TimeoutError:
                trio.from_thread.check_cancelled()
                waited += _TICK
                if waited >= self._silence:
                    raise

    def _is_ready(self, event: int, timeout: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(timeout * 1000))

"""A big blob straight from a socket into the thread that unpacks it.

The HTTP client finds out where the blob is (logins, redirects, mirrors) by asking for its first byte. What follows is
one request of our own for the whole, whose body the kernel puts where the decompressor wants it, a big piece at a time:
handing 64 KiB at a time from the event loop to a thread took as long as unpacking them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

from engine import oci
from engine.blobs import CorruptBlob
from engine.errors import RegistryError
from engine.registry.bodies import read_at_most
from engine.registry.pull import Repository
from engine.registry.transport import Request
from engine.values import frozen

if TYPE_CHECKING:
    import ssl

    from engine.registry.retry import Patience

LEAST = 4 << 20
"""Smaller blobs are not worth a connection of their own."""
_TICK = 0.5
"""Seconds after which a silent line is looked up from, to see whether anybody still waits."""
_MAX_HEAD = 64 << 10
_KEPT = ("authorization", "user-agent", "accept-encoding")


@frozen
class BlobAddress:
    """Where a blob is for now: a URL with what to say there."""

    host: str
    port: int
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None


async def find_address(repository: Repository, blob: oci.Descriptor, name: str) -> BlobAddress | None:
    """Where a blob can be read from directly; None where it cannot: behind a proxy, or from servers without ranges.

    Raises:
        RegistryError: if there is no such blob, or the host cannot be reached.
    """
    if blob.size < LEAST or _proxied(os.environ):
        return None
    what = f"read the blob {blob.digest} of {name}"
    path = repository.url(f"blobs/{blob.digest}")
    request = Request("GET", path, what, repository.scope, {"range": "bytes=0-0"}, ok=(200, 206))
    async with repository.transport.exchange(request) as response:
        if response.headers.get("content-range", "") != f"bytes 0-0/{blob.size}":
            return None
        await read_at_most(response, 1)
        url = urlsplit(str(response.request.url))
        headers = {key: response.request.headers[key] for key in _KEPT if key in response.request.headers}
    tls = repository.transport.tls_of(url.netloc) if url.scheme == "https" else None
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    port = url.port or (443 if tls else 80)
    return BlobAddress(url.hostname or "", port, target, {"host": url.netloc, **headers}, tls)


def _proxied(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) or environ.get(name.lower()) for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))


class DirectBlob:
    """The bytes of a blob, for a worker thread of trio's. Cuts are mended; nothing is asked for twice."""

    def __init__(self, repository: Repository, blob: oci.Descriptor, name: str, address: BlobAddress) -> None:
        self._repository = repository
        self._blob = blob
        self._name = name
        self._address = address
        self._patience: Patience = repository.transport.patience
        self._socket: socket.socket | None = None
        self._early = b""
        self._done = 0
        self._fruitless = 0

    def fill(self, buffer: memoryview) -> int:
        """The next bytes, as many as fit where the line does not end before; 0 at the end.

        Raises:
            RegistryError: if the host is gone for good, or sends something else.
            CorruptBlob: if there are more bytes than there should be.
        """
        while self._done < self._blob.size:
            trio.from_thread.check_cancelled()
            try:
                if self._socket is None:
                    self._open()
                count = self._receive(buffer)
            except (OSError, RegistryError) as error:
                self._cut(error)
                continue
            if not count:
                self._cut(RegistryError("the body ended early"))
                continue
            self._done += count
            self._fruitless = 0
            if self._done > self._blob.size:
                raise CorruptBlob(f"{self._address.host} sends more than the {self._blob.size} bytes of the blob")
            return count
        self.close()
        return 0

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self, buffer: memoryview) -> int:
        """Fills the buffer as far as the line gives at once."""
        if self._early:
            count = min(len(self._early), len(buffer))
            buffer[:count], self._early = self._early[:count], self._early[count:]
            return count
        filled = 0
        while filled < len(buffer) and self._done + filled < self._blob.size:
            got = self._patiently(buffer[filled:])
            if not got:
                break
            filled += got
        return filled

    def _patiently(self, view: memoryview) -> int:
        """Some bytes, waited for as long as patience allows. Raises TimeoutError, OSError."""
        assert self._socket is not None
        waited = 0.0
        while True:
            try:
                return self._socket.recv_into(view)
            except TimeoutError:
                trio.from_thread.check_cancelled()
                waited += _TICK
                if waited >= self._patience.silence:
                    raise

    def _open(self) -> None:
        """Connects, and asks for what is missing."""
        at = self._address
        line = socket.create_connection((at.host, at.port), self._patience.connect)
        try:
            if at.tls is not None:
                line = at.tls.wrap_socket(line, server_hostname=at.host)
            line.settimeout(_TICK)
            self._socket = line
            fields = {**at.headers, "range": f"bytes={self._done}-", "connection": "close"}
            text = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
            line.sendall(f"GET {at.target} HTTP/1.1\r\n{text}\r\n".encode("latin-1"))
            self._read_head()
        except BaseException:
            self._socket = None
            line.close()
            raise

    def _read_head(self) -> None:
        head = b""
        buffer = memoryview(bytearray(_MAX_HEAD))
        while b"\r\n\r\n" not in head:
            count = self._patiently(buffer)
            if not count or len(head) > _MAX_HEAD:
                raise RegistryError("there was no proper answer")
            head += buffer[:count]
        head, _, self._early = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = lines[0].split(" ")[1:2]
        fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:])}
        whole = f"bytes {self._done}-{self._blob.size - 1}/{self._blob.size}"
        if status != ["206"] or fields.get("content-range") != whole or "transfer-encoding" in fields:
            raise RegistryError(f"{self._address.host} answered {lines[0][:100]}")

    def _cut(self, error: Exception) -> None:
        """Goes on with what is missing, after a pause; where nothing came at all, from where the blob is now."""
        self.close()
        self._early = b""
        self._fruitless += 1
        what = f"read the blob {self._blob.digest} of {self._name}"
        if self._fruitless >= self._patience.attempts:
            raise RegistryError(
                f"cannot {what}: the connection to {self._address.host} was cut again and again ({error})",
                hint="check the network, or set a mirror for the registry",
            ) from error
        trio.from_thread.run(trio.sleep, self._patience.pause(self._fruitless))
        address = trio.from_thread.run(find_address, self._repository, self._blob, self._name)
        if address is None:
            raise RegistryError(f"cannot {what}: {self._address.host} does not know ranges any more")
        self._address = address

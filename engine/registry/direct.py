"""A big blob straight from a socket into the thread that unpacks it: one request for the whole, over one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from engine import oci
from engine.blobs import CorruptBlob
from engine.errors import RegistryError
from engine.registry.bodies import read_at_most
from engine.registry.line import LEAST, Address, Line
from engine.registry.pull import Repository
from engine.registry.transport import Request

if TYPE_CHECKING:
    from engine.registry.retry import Patience

_KEPT = ("authorization", "user-agent", "accept-encoding")


async def find_address(repository: Repository, blob: oci.Descriptor, name: str) -> Address | None:
    """Where a blob can be read from directly; None where it cannot: behind a proxy, or from servers without ranges.

    Raises:
        RegistryError: if there is no such blob, or the host cannot be reached.
    """
    if blob.size < LEAST:
        return None
    what = f"read the blob {blob.digest} of {name}"
    path = repository.url(f"blobs/{blob.digest}")
    request = Request("GET", path, what, repository.scope, {"range": "bytes=0-0"}, ok=(200, 206))
    async with repository.transport.exchange(request) as response:
        if response.headers.get("content-range", "") != f"bytes 0-0/{blob.size}":
            return None
        await read_at_most(response, 1)
        headers = {key: response.request.headers[key] for key in _KEPT if key in response.request.headers}
        return repository.transport.address_of(str(response.request.url), headers)


class DirectBlob:
    """The bytes of a blob, for a worker thread of trio's. Cuts are mended; nothing is asked for twice."""

    def __init__(self, repository: Repository, blob: oci.Descriptor, name: str, address: Address) -> None:
        self._repository = repository
        self._blob = blob
        self._name = name
        self._address = address
        self._patience: Patience = repository.transport.patience
        self._line: Line | None = None
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
                line = self._line or self._open()
                count = line.receive(buffer, self._blob.size - self._done)
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
        if self._line is not None:
            self._line.close()
            self._line = None

    def _open(self) -> Line:
        """Connects, and asks for what is missing."""
        line = Line(self._address, self._patience)
        try:
            line.ask("GET", {"range": f"bytes={self._done}-"})
            head = line.head()
            whole = f"bytes {self._done}-{self._blob.size - 1}/{self._blob.size}"
            if head.status != 206 or head.fields.get("content-range") != whole or "transfer-encoding" in head.fields:
                raise RegistryError(f"{self._address.host} answered {head.line}")
        except BaseException:
            line.close()
            raise
        self._line = line
        return line

    def _cut(self, error: Exception) -> None:
        """Goes on with what is missing, after a pause; where nothing came at all, from where the blob is now."""
        self.close()
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

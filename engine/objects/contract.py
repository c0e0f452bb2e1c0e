"""What a service that keeps objects by name is to those who put caches there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from engine.digests import Digest
from engine.errors import SourceError

Body = Callable[[], AsyncIterator[bytes]]
"""Opens an object's bytes; once for each attempt."""


class ObjectExists(SourceError):
    """An object of that name is there, or being written by somebody else, and may not be replaced."""


class ObjectChanged(SourceError):
    """Somebody else has written an object since it was read."""


class ObjectStore(Protocol):
    """One such service, with its place in it. Names are relative to that place."""

    @property
    def origin(self) -> str:
        """Names this place for another process, without any secret; `open_objects` opens it again."""
        ...

    async def has(self, name: str) -> bool:
        """Whether there is an object of that name. Raises SourceError."""
        ...

    async def read(self, name: str, limit: int) -> bytes | None:
        """A small object, None if it is not there. Raises SourceError if it is bigger than `limit` bytes."""
        ...

    def pieces(self, name: str) -> AsyncGenerator[bytes, None]:
        """An object's bytes. Raises SourceError if it is not there, or does not come whole."""
        ...

    async def write(self, name: str, body: Body, size: int, digest: Digest) -> None:
        """Writes an object of `size` bytes with this digest. Raises SourceError."""
        ...

    def blob_name(self, digest: Digest) -> str:
        """What a layer's blob is called there."""
        ...

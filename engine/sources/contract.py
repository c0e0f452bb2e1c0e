"""What a source is: it first says what its identifier means now (cheap, no content), and fetches only when asked."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from engine.digests import Digest
from engine.results import Result
from engine.values import frozen


@frozen
class Resolved:
    """What a source's identifier means now.

    `keys` are BuildKit's cache digests for it, the most particular first (an image has two: by manifest and by chain
    of layers). The *last* one is the key that bakery itself uses, for it survives re-tagging and re-compression. No
    keys at all (a local folder): only content counts. `pin` is what to write down to get the same again: a manifest
    digest, a commit, a checksum. `result` is lazy where it can be: its layers are fetched when something reads them.
    """

    keys: tuple[Digest, ...]
    pin: str
    result: Result


class Source(Protocol):
    """One source vertex."""

    async def resolve(self) -> Resolved:
        """Finds out what is meant. Raises SourceError naming the source, and what can be done."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A source that is from some time, for SOURCE_DATE_EPOCH."""

    async def time(self) -> int | None:
        """Seconds since 1970; None if nothing says it. Raises SourceError if the source cannot be had."""
        ...

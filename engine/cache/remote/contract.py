"""What a place for caches is to those who import and export: somewhere to read documents from and to write to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from engine.errors import SourceError

if TYPE_CHECKING:
    from engine.cache.remote.chains import Chains
    from engine.exporters.context import ExportContext


class CacheChanged(SourceError):
    """Somebody else has written the cache since it was read: what was made to be put in its place is too old."""


class CachePlace(Protocol):
    """One cache somewhere: a registry's reference, a folder, a scope of a cache service, a bucket's name."""

    @property
    def title(self) -> str:
        """What progress shows of an export, such as `exporting cache to registry`."""
        ...

    @property
    def name(self) -> str:
        """What an import is called, such as `localhost:5000/cache:main`."""
        ...

    async def read(self, chains: Chains, context: ExportContext) -> int:
        """Adds what the cache knows to `chains`; how many records there were.

        Raises:
            SourceError: if it cannot be had, or makes no sense.
        """
        ...

    async def write(self, chains: Chains, context: ExportContext) -> Mapping[str, str]:
        """Puts a cache there in place of what there is; what the build's metadata say of it.

        Raises:
            CacheChanged: if it was read before, and is not what it was then.
            ExportError, SourceError: if it cannot be written.
        """
        ...

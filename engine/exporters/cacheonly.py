"""The output that keeps the results in the cache and writes nothing."""

from __future__ import annotations

from typing import Self

from engine.exporters.attributes import check_known
from engine.exporters.context import ExportContext
from engine.exporters.contract import Export, ExportResult, TargetImage
from engine.values import frozen


@frozen
class CacheOnlyExporter:
    """`type=cacheonly`: building was all that was wanted."""

    title: str = "keeping the result in the cache"

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError for any attribute."""
        check_known(export, ())
        return cls()

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Does nothing."""
        return ExportResult({})

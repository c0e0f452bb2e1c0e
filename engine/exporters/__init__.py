"""Exporters: results out of the house, as images, archives, folders."""

from __future__ import annotations

from engine.errors import ExportError
from engine.exporters.contract import TYPES, Export, Exporter


def open_exporter(export: Export) -> Exporter:
    """The exporter of an output, its attributes checked.

    Raises:
        ExportError: for an unknown type or attribute, or a value that makes no sense.
    """
    if export.type in ("image", "registry"):
        from engine.exporters.image import ImageExporter

        return ImageExporter.of(export)
    if export.type in ("oci", "docker"):
        from engine.exporters.layout import LayoutExporter

        return LayoutExporter.of(export)
    if export.type == "local":
        from engine.exporters.local import LocalExporter

        return LocalExporter.of(export)
    if export.type == "tar":
        from engine.exporters.tar import TarExporter

        return TarExporter.of(export)
    if export.type == "cacheonly":
        from engine.exporters.cacheonly import CacheOnlyExporter

        return CacheOnlyExporter.of(export)
    from engine.exporters.attributes import did_you_mean

    raise ExportError(f'unknown output type "{export.type}"', hint=did_you_mean(export.type, TYPES))

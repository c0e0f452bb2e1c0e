"""From a cache's type and attributes to the place that is meant."""

from __future__ import annotations

from engine.cache.remote.attributes import ExportOptions, check_import
from engine.cache.remote.contract import CachePlace
from engine.request import CacheBackend


def open_place(backend: CacheBackend, options: ExportOptions | None = None) -> CachePlace:
    """The place of a cache: to export to with `options`, to import from without.

    Raises:
        DefinitionError, UnsupportedError, SourceError: if its attributes make no sense.
    """
    if options is None:
        check_import(backend)
    if backend.type == "local":
        from engine.cache.remote.layout import LayoutPlace

        return LayoutPlace(backend, options)
    if backend.type == "s3":
        from engine.cache.remote.objects import BucketPlace

        return BucketPlace(backend, options)
    if backend.type == "gha":
        from engine.cache.remote.objects import ActionsPlace

        return ActionsPlace(backend, options)
    from engine.cache.remote.registry import RegistryPlace

    return RegistryPlace(backend, options)

"""Loads what pushing needs while the first steps run: the HTTP client's modules take a tenth of a second.

A big layer is sent while it is packed, so whoever begins to load them then makes the whole push late.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.exporters.contract import Export
    from engine.request import BuildRequest

_FOR_PUSHES = ("httpx2", "engine.registry.transport", "engine.registry.push")


@contextmanager
def loading_ahead(request: BuildRequest) -> Iterator[None]:
    """In the block a thread loads what the outputs of a request will need."""
    if not any(_is_pushed(export) for wanted in request.wanted for export in wanted.exports):
        yield
        return
    thread = Thread(target=_load, name="loading ahead")
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _is_pushed(export: Export) -> bool:
    return export.type == "registry" or (export.type == "image" and export.attributes.get("push") == "true")


def _load() -> None:
    # What cannot be loaded is told by whoever needs it.
    with suppress(ImportError):
        for name in _FOR_PUSHES:
            import_module(name)

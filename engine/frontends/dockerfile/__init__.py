"""The Dockerfile frontend. `DockerfileFrontend` is the door; everything is imported when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.frontends.dockerfile.frontend import DockerfileFrontend

__all__ = ["DockerfileFrontend"]


def __getattr__(name: str) -> Any:
    if name != "DockerfileFrontend":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from engine.frontends.dockerfile.frontend import DockerfileFrontend

    return DockerfileFrontend

"""What an exporter is: it takes a target's finished results out of the engine, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from engine.frontends.contract import ImageConfig
from engine.llb.ops import Platform
from engine.results import Snapshot

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext


@dataclass(frozen=True, slots=True)
class Export:
    """An output that a target asks for: `type` and its attributes as in buildkit.md §7."""

    type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """One platform of a finished target. `config` is the frontend's: rootfs and history times are not yet filled in."""

    id: str
    platform: Platform
    snapshot: Snapshot
    config: ImageConfig
    base_config: ImageConfig | None = None


@dataclass(frozen=True, slots=True)
class TargetImage:
    """A finished target: all its platforms. `multi`: make an index even of one. `epoch`: SOURCE_DATE_EPOCH, seconds."""

    name: str
    platforms: tuple[PlatformImage, ...]
    multi: bool = False
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written, under BuildKit's response keys: `containerimage.digest`, `image.name`, …"""

    metadata: Mapping[str, str]


class Exporter(Protocol):
    """One output form with its attributes already checked."""

    @property
    def title(self) -> str:
        """What progress shows, such as `exporting to image`."""
        ...

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Writes it: whole, or nothing at all. Raises ExportError or RegistryError."""
        ...

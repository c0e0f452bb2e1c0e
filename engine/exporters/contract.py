"""What an exporter is: it takes a target's finished results out of the engine, in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from engine.digests import Digest
from engine.frontends.contract import FrontendRequest, ImageConfig
from engine.llb.definition import Definition
from engine.llb.ops import Platform
from engine.results import Snapshot
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext


TYPES = ("image", "registry", "oci", "docker", "local", "tar", "cacheonly")
"""The outputs that there are."""


@frozen
class Export:
    """An output that a target asks for: `type` and its attributes as in buildkit.md §7."""

    type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@frozen
class Attest:
    """A statement about an image that is wanted: `provenance` or `sbom`, and its attributes as in buildkit.md §7."""

    type: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def inline_only(self) -> bool:
        """Whether only images get it, and not archives and files."""
        return self.attributes.get("inline-only", "").lower() in ("1", "t", "true")


@frozen
class BuildFacts:
    """What a statement may tell of how a result was made. Times in seconds since the epoch.

    `request` is what the frontend was asked, `definition` what it made of that; `pins` says for each source vertex what
    it meant (a manifest digest, a commit, a checksum), and `bases` how many layers it brought. `scan` is what looked at
    the result to write its SBOM.
    """

    definition: Definition
    request: FrontendRequest | None = None
    pins: Mapping[Digest, str] = field(default_factory=dict)
    bases: Mapping[Digest, int] = field(default_factory=dict)
    started: float = 0.0
    finished: float = 0.0
    build: str = ""
    scan: Definition | None = None


@frozen
class PlatformImage:
    """One platform of a finished target. `config` is the frontend's: rootfs and history times are not yet filled in."""

    id: str
    platform: Platform
    snapshot: Snapshot
    config: ImageConfig
    base_config: ImageConfig | None = None
    facts: BuildFacts | None = None
    scan: Snapshot | None = None
    """A folder of statements about the image that a generator has written."""


@frozen
class TargetImage:
    """A finished target: all its platforms. `multi`: make an index even of one. `epoch`: SOURCE_DATE_EPOCH, seconds."""

    name: str
    platforms: tuple[PlatformImage, ...]
    multi: bool = False
    epoch: int | None = None
    attests: tuple[Attest, ...] = ()


class Kind(Enum):
    """What a piece of evidence is about, and so how it is checked."""

    FILE = "file"
    FOLDER = "folder"
    NAMES = "names"
    LAYOUT = "layout"
    BLOB = "blob"
    PUSHED = "pushed"
    PUSHED_INSECURE = "pushed-insecure"
    LOADED = "loaded"


@frozen
class Evidence:
    """One thing that an output left behind and that must still be so: `place` says where it is, `stamp` how it looked.

    A file's stamp is its size, inode and times, a folder's its mode; the names in a folder are joined by `/`; a
    layout's stamp is the digest of the entry `FOLDER#NAME`; a blob is named by its digest; the stamp of a name that
    was pushed is the digest that it means. What was loaded into a Docker engine is `CONTEXT URL NAME`, its stamp the
    IDs it may have there.
    """

    kind: Kind
    place: str
    stamp: str


@frozen
class ExportResult:
    """What was written, under BuildKit's response keys: `containerimage.digest`, `image.name`, …

    `size` is in bytes: of an image all its blobs, as they are packed. `evidence` is what a later build looks at to see
    that nothing needs to be written again; without any it always is.
    """

    metadata: Mapping[str, str]
    size: int = 0
    evidence: tuple[Evidence, ...] = ()


class Exporter(Protocol):
    """One output form with its attributes already checked."""

    @property
    def title(self) -> str:
        """What progress shows, such as `exporting to image`."""
        ...

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Writes it: whole, or nothing at all. Raises ExportError or RegistryError."""
        ...

"""What a frontend is: it turns a text such as a Dockerfile into definitions and image configs, and runs nothing.

The engine gives it a `Bridge` for what must be known before the graph can be drawn: which image a name means, and what
a file of a git or http context says.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from engine.digests import Digest
from engine.llb.definition import Definition, Edge, Place, Vertex
from engine.llb.ops import Platform, Range
from engine.tree import MAX_TEXT
from engine.values import frozen

ImageConfig = dict[str, Any]
"""An OCI image config as parsed JSON, with Docker's extra keys."""


@frozen
class LocalFolder:
    """A folder of this machine as a source.

    `session` goes into the source's `local.session` attribute. It is made of the folder's path, so that every target
    that uses the folder has the same vertex, and the engine finds the folder again from the attribute alone.
    """

    name: str
    path: Path

    @property
    def session(self) -> str:
        """A short name that is the same for the same folder."""
        return "folder-" + hashlib.sha256(os.fsencode(os.path.abspath(self.path))).hexdigest()[:24]


@frozen
class LinkedResult:
    """What another target made, as a named context: its edge in `definition`, and its image config, if any."""

    definition: Definition
    config: ImageConfig | None = None


@frozen
class FrontendRequest:
    """One target for a frontend.

    `options` are BuildKit's frontend options by their own names (`filename`, `target`, `platform`, `build-arg:X`,
    `label:X`, `no-cache`, `context:NAME`, …; reference: buildkit.md §2). A value of `context:NAME` is `local:NAME` for
    a folder in `locals`, `input:NAME` for an entry of `inputs` (key with `::PLATFORM` first, then without), or any of
    the schemes BuildKit takes. `locals` always holds `dockerfile` and, unless the option `context` names a
    remote one, `context`.
    """

    options: Mapping[str, str]
    locals: Mapping[str, LocalFolder]
    inputs: Mapping[str, LinkedResult] = field(default_factory=dict)
    dockerfile: str | None = None
    """The text of an inline Dockerfile, or of one read from stdin; None: read `filename` from `locals`."""
    default_platform: Platform | None = None
    """The machine's own platform unless given (BUILDPLATFORM)."""


@frozen
class FrontendWarning:
    """Something a user should know, at a place: the rules of `check`, and what the peer keeps quiet about."""

    rule: str
    description: str
    detail: str
    url: str = ""
    places: tuple[Place, ...] = ()
    """The lines of the instruction, or several."""
    focus: Range | None = None
    """The part of them that is to blame, where that is known; lines count from 1, columns from 0, the end exclusive."""


@frozen
class PlatformResult:
    """What one platform of a target is: an edge of the definition (None: an empty image) and the image's config."""

    id: str
    """The platform as `linux/amd64`."""
    platform: Platform
    definition: Definition
    config: ImageConfig
    base_config: ImageConfig | None = None
    scan: Definition | None = None
    """A step that writes statements about the result into a folder, where a generator image is to do that."""

    @property
    def edge(self) -> Edge | None:
        """Where the result comes from."""
        return self.definition.root

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """All that has to be built for it."""
        return (self.definition, self.scan) if self.scan else (self.definition,)

    @property
    def roots(self) -> list[Edge]:
        """Where all of that comes from."""
        return [definition.root for definition in self.definitions if definition.root]


@frozen
class FrontendResult:
    """All platforms of a target. `multi` says that an index is wanted even for one platform."""

    platforms: tuple[PlatformResult, ...]
    multi: bool = False
    warnings: tuple[FrontendWarning, ...] = ()
    epoch: int | None = None
    """SOURCE_DATE_EPOCH, in seconds since 1970, whatever it was taken from."""


@frozen
class ResolvedImage:
    """An image name, resolved: `digest` is of the index or manifest that the name pointed at."""

    reference: str
    """The full reference without the digest, such as `docker.io/library/debian:bookworm-slim`."""
    digest: Digest
    config: ImageConfig
    platform: Platform


class Files(Protocol):
    """Read access to a small tree, such as a git or http context. Paths are absolute in it and never leave it."""

    async def read(self, path: str, limit: int = MAX_TEXT) -> bytes:
        """A file's content; symlinks are followed inside the tree.

        Raises:
            FileNotFoundError, IsADirectoryError: if there is no such file.
            OSError: if it has more than `limit` bytes.
        """
        ...

    async def head(self, path: str, size: int) -> bytes:
        """The first `size` bytes of a file, fewer where it ends. Raises FileNotFoundError, IsADirectoryError."""
        ...

    async def exists(self, path: str) -> bool:
        """Whether the path is there, links followed."""
        ...


class Bridge(Protocol):
    """What the engine does for a frontend."""

    async def resolve_image(self, reference: str, platform: Platform, mode: str = "") -> ResolvedImage:
        """The image that a name means now. `mode` is `pull`, `local` or empty. Raises SourceError."""
        ...

    async def resolve_layout(self, folder: Path, reference: str, platform: Platform) -> ResolvedImage:
        """The same for an image in an OCI layout folder; `reference` is `NAME[:TAG][@DIGEST]`."""
        ...

    async def files(self, definition: Definition) -> Files:
        """The tree that a definition (a git or http source) makes, for reading. Raises EngineError."""
        ...

    async def source_time(self, source: Vertex) -> int | None:
        """When a source is from, in seconds since 1970: a commit's time, or Last-Modified; None if nothing says it.

        Raises:
            SourceError: if the source cannot be had.
        """
        ...

    def worker_platforms(self) -> Sequence[Platform]:
        """The platforms whose steps this machine can run, its own first."""
        ...


class Frontend(Protocol):
    """Turns one target into definitions."""

    async def lower(self, request: FrontendRequest, bridge: Bridge) -> FrontendResult:
        """All platforms of the target. Raises DefinitionError with places, or what the bridge raises."""
        ...

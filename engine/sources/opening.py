"""Opens the source of a vertex by its scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from engine.concurrency import must_wait
from engine.errors import DefinitionError
from engine.llb.definition import Vertex
from engine.sources.contract import Source
from engine.sources.pins import Pins

if TYPE_CHECKING:
    from engine.blobs import BlobStore
    from engine.registry.client import Registries
    from engine.request import Secret
    from engine.secret_values import SecretReader
    from engine.snapshots.store import SnapshotStore
    from engine.sources.downloads import Downloader
    from engine.sources.image import ImageResolver
    from engine.sources.oci_layout import LayoutResolver
    from engine.sources.repositories import Repositories
    from engine.sources.secrets import GivenSecrets
    from engine.state import State

_NO_SECRETS: Mapping[str, Secret] = MappingProxyType({})


class SourceContext:
    """What sources need of the house; it also sees to it that layers of images come here when somebody reads them.

    `registries` is called when the network is first needed. `folders` gives the folder behind each `local.session` and
    `oci.session`; `reader` reads the secrets that git and http sources are given.
    """

    def __init__(
        self,
        state: State,
        snapshots: SnapshotStore,
        blobs: BlobStore,
        registries: Callable[[], Registries],
        folders: Mapping[str, Path],
        reader: SecretReader | None = None,
        pins: Pins | None = None,
    ) -> None:
        from engine.secret_values import SecretReader
        from engine.sources.fetch import LayerFetcher

        self.state = state
        self.snapshots = snapshots
        self.blobs = blobs
        self.registries = registries
        self.folders = folders
        self.reader = reader or SecretReader()
        self.pins = pins or Pins()
        self._repositories: dict[frozenset[Secret], Repositories] = {}
        self.fetcher = LayerFetcher(state, snapshots, blobs, registries)
        snapshots.register_fetcher(self.fetcher)

    @cached_property
    def images(self) -> ImageResolver:
        """Resolves names of images, each once."""
        from engine.sources.image import ImageResolver

        return ImageResolver(self.registries, self.state, self.blobs, self.pins)

    @cached_property
    def layouts(self) -> LayoutResolver:
        """Finds images in OCI layouts, each once."""
        from engine.sources.oci_layout import LayoutResolver

        return LayoutResolver()

    @cached_property
    def downloader(self) -> Downloader:
        """Fetches URLs, each once. Raises MustWait inside of `run_now`."""
        must_wait()
        from engine.sources.downloads import Downloader

        return Downloader(self.state, self.blobs, pins=self.pins)

    def repositories(self, secrets: GivenSecrets) -> Repositories:
        """Git repositories, each asked once for each ref and by whoever has the same secrets: what one target may see
        is not told to another. Raises MustWait inside of `run_now`.
        """
        must_wait()
        from engine.sources.repositories import Repositories

        found = self._repositories.get(secrets.all)
        if found is None:
            found = self._repositories[secrets.all] = Repositories(self.state, secrets, self.pins)
        return found


def open_source(vertex: Vertex, context: SourceContext, secrets: Mapping[str, Secret] = _NO_SECRETS) -> Source:
    """The source of a vertex, for targets that have these secrets.

    Raises:
        DefinitionError: if it is no source, or of a scheme that is not known.
    """
    source = vertex.op.source
    if source is None:
        raise DefinitionError(f"{vertex.name} is not a source", vertex=vertex.name)
    scheme = source.identifier.partition("://")[0]
    if scheme == "local":
        from engine.sources.local import LocalSource

        return LocalSource(vertex, context.folders)
    if scheme == "docker-image":
        from engine.sources.image import ImageSource

        return ImageSource(vertex, context.images, context.state)
    if scheme == "oci-layout":
        from engine.sources.oci_layout import LayoutSource

        return LayoutSource(vertex, context.folders, context.layouts, context.state)
    if scheme == "git":
        from engine.sources.git import GitSource
        from engine.sources.secrets import given

        return GitSource(
            vertex, context.repositories(given(source, secrets, context.reader)), context.fetcher, context.snapshots
        )
    if scheme in ("http", "https"):
        from engine.sources.http import HttpSource
        from engine.sources.secrets import given

        mine = given(source, secrets, context.reader)
        return HttpSource(vertex, context.downloader, context.fetcher, context.snapshots, context.blobs, mine)
    raise DefinitionError(
        f'unknown kind of source "{scheme}://"',
        places=vertex.note.places,
        vertex=vertex.name,
        hint="known are docker-image, oci-layout, local, git, http and https",
    )

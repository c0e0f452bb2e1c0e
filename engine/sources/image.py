"""Images of registries: what a name means now, known layer by layer before anything is fetched.

A name with a digest needs no network once its manifest and config are here; a tag costs one HEAD.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine import oci, platforms
from engine.concurrency import Turns
from engine.digests import Digest, parse_digest, sha256
from engine.errors import RegistryError, SourceError
from engine.frontends.contract import ResolvedImage
from engine.llb.definition import Vertex
from engine.llb.ops import Platform
from engine.registry.reference import Reference, parse
from engine.results import Snapshot
from engine.sources.contract import Resolved
from engine.sources.found_image import FoundImage, find_image
from engine.sources.layers import record_layers
from engine.sources.pins import PinKind, Pins, moved

if TYPE_CHECKING:
    from engine.blobs import BlobStore
    from engine.registry.client import Registries
    from engine.state import State

SCHEME = "docker-image://"
_NOT_FOUND = 404
RECHECK_NOTE = 3600.0
"""Seconds after which it is written down again that a name still means the same."""


class ImageResolver:
    """Resolves names of images, each once in the life of this object, whoever asks.

    `registries` is called when the network is needed for the first time.
    """

    def __init__(
        self, registries: Callable[[], Registries], state: State, blobs: BlobStore, pins: Pins | None = None
    ) -> None:
        self._registries = registries
        self._state = state
        self._blobs = blobs
        self._pins = pins or Pins()
        self._found: dict[tuple[str, str], FoundImage] = {}
        self._meanings: dict[str, tuple[Digest, str]] = {}
        self._asking: dict[str, Turns] = {}

    async def resolve(self, reference: str, platform: Platform, mode: str = "") -> ResolvedImage:
        """What a name means now. `mode` `local` takes what was known last without asking, if anything was.

        Raises:
            SourceError: if there is no such image, or its registry cannot be reached.
        """
        parsed = parse(reference)
        image = await self.find(parsed, platform, mode)
        return ResolvedImage(parsed.tagged, image.digest, image.config, image.platform)

    async def find(self, reference: Reference, platform: Platform, mode: str = "") -> FoundImage:
        """The same, with the manifest."""
        key = str(reference), platforms.format(platforms.normalize(platform))
        async with self._asking.setdefault(key[0], Turns()):
            if key not in self._found:
                self._found[key] = await self._find(reference, platform, key, mode)
        return self._found[key]

    async def _find(self, reference: Reference, platform: Platform, key: tuple[str, str], mode: str) -> FoundImage:
        digest, media_type = reference.digest, ""
        locked: Digest | None = None
        if digest is None and (pin := self._pins.find(PinKind.IMAGE, key[0])):
            digest = locked = parse_digest(pin)
        if digest is None and mode == "local":
            digest = self._last_known(key)
        documents = _RegistryDocuments(reference, self._registries, self._blobs)
        if digest is None:
            if key[0] not in self._meanings:
                self._meanings[key[0]] = await documents.ask()
            digest, media_type = self._meanings[key[0]]
        try:
            image = await find_image(str(reference), digest, platform, documents, media_type)
        except RegistryError as error:
            if error.status == _NOT_FOUND and locked and (now := (await documents.ask())[0]) != locked:
                raise moved(key[0], locked, now) from error
            raise
        self._note(key, image)
        if reference.digest is None:
            self._pins.note(PinKind.IMAGE, key[0], image.digest)
        return image

    def _last_known(self, key: tuple[str, str]) -> Digest | None:
        rows = self._state.query("SELECT digest FROM images WHERE reference = ? AND platform = ?", *key)
        return Digest(rows[0][0]) if rows else None

    def _note(self, key: tuple[str, str], image: FoundImage) -> None:
        now = time.time()
        fresh = self._state.query(
            "SELECT 1 FROM images WHERE reference = ? AND platform = ? AND digest = ? AND manifest = ? AND checked > ?",
            *key,
            image.digest,
            image.manifest_digest,
            now - RECHECK_NOTE,
        )
        if not fresh:
            self._state.write(
                "INSERT OR REPLACE INTO images (reference, platform, digest, manifest, checked) VALUES (?, ?, ?, ?, ?)",
                *key,
                image.digest,
                image.manifest_digest,
                now,
            )


class _RegistryDocuments:
    """Manifests and configs of one repository, kept in the blob store."""

    def __init__(self, reference: Reference, registries: Callable[[], Registries], blobs: BlobStore) -> None:
        self._reference = reference
        self._registries = registries
        self._blobs = blobs

    async def ask(self) -> tuple[Digest, str]:
        """What the tag means now."""
        registries = self._registries()
        head = await registries.head(self._reference)
        if head is None:
            head, data = await registries.manifest(self._reference)
            self._blobs.put(data)
        return head.digest, head.media_type

    async def document(self, digest: Digest, media_type: str) -> bytes:
        """A manifest or index."""
        data = self._blobs.find(digest, oci.MAX_MANIFEST)
        if data is None:
            _, data = await self._registries().manifest(self._reference.at(digest))
            self._blobs.put(data)
        return data

    async def config(self, blob: oci.Descriptor) -> bytes:
        """An image config."""
        data = self._blobs.find(blob.digest, oci.MAX_CONFIG)
        if data is None:
            data = await self._registries().small_blob(self._reference, blob, oci.MAX_CONFIG)
            self._blobs.put(data)
        return data


class ImageSource:
    """A `docker-image://` vertex."""

    def __init__(self, vertex: Vertex, images: ImageResolver, state: State) -> None:
        source = vertex.op.source
        assert source is not None
        self._reference = source.identifier.removeprefix(SCHEME)
        self._attrs = source.attrs
        self._platform = platforms.normalize(vertex.op.platform) if vertex.op.platform else platforms.host()
        self._images = images
        self._state = state

    async def resolve(self) -> Resolved:
        """The manifest that is meant, its keys and its layers, which stay where they are."""
        reference = parse(self._reference)
        image = await self._images.find(reference, self._platform, self._attrs.get("image.resolvemode", ""))
        checksum = self._attrs.get("image.checksum")
        if checksum and checksum != image.digest:
            raise SourceError(f"{reference} is {image.digest}, but {checksum} is wanted")
        return resolved_image(
            image, self._platform, self._state, limit_of(self._attrs.get("image.layerlimit")), str(reference)
        )


def resolved_image(image: FoundImage, platform: Platform, state: State, limit: int | None, origin: str) -> Resolved:
    """An image as a source's answer: keys as BuildKit's (buildkit.md §3), and its layers, recorded."""
    count = len(image.diff_ids) if limit is None else limit
    if count > len(image.diff_ids):
        raise SourceError(f"{origin} has {len(image.diff_ids)} layers, fewer than the {count} asked for")
    diff_ids = image.diff_ids[:count]
    layers = record_layers(state, diff_ids, image.manifest.layers[:count], origin, f"pulled from {origin}")
    keys = [_manifest_key(image.digest, platform, limit)]
    if diff_ids:
        keys.append(oci.chain_ids(diff_ids)[-1])
    return Resolved(tuple(source_key(key) for key in keys), image.digest, Snapshot(layers))


def source_key(key: str) -> Digest:
    """The cache digest of a source with this key."""
    return sha256(f"buildkit.source.v0:{key}".encode())


def _manifest_key(digest: Digest, platform: Platform, limit: int | None) -> Digest:
    fields: dict[str, object] = {"Digest": digest, "OS": platform.os, "Arch": platform.architecture}
    optional = {
        "Variant": platform.variant,
        "OSVersion": platform.os_version,
        "OSFeatures": list(platform.os_features),
    }
    fields |= {name: value for name, value in optional.items() if value}
    if limit is not None:
        fields["Limit"] = limit
    return sha256(oci.go_json(fields))


def limit_of(text: str | None) -> int | None:
    """How many layers an attribute asks for, None for all."""
    if text is None:
        return None
    if not text.isdigit():
        raise SourceError(f"{text!r} is no number of layers")
    return int(text)

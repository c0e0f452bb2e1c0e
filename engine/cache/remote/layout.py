"""Caches in folders: `type=local`, an OCI layout of caches by tag that builds share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from engine import oci
from engine.cache.remote.attributes import ExportOptions, required, truth
from engine.cache.remote.blobs import CacheBlob
from engine.cache.remote.chains import Chains
from engine.cache.remote.contract import CacheChanged
from engine.cache.remote.manifests import CacheImage, cache_metadata, make_image, read_cache
from engine.digests import hex_of, parse_digest
from engine.errors import DefinitionError, ExportError, SourceError
from engine.exporters.destination import explained, whole_file
from engine.exporters.layers import bring
from engine.request import CacheBackend
from engine.sources.layers import LAYOUT_ORIGIN, LayerBlob
from engine.sources.oci_layout import INDEX, MARKER, Layout

if TYPE_CHECKING:
    from engine.blobs import VerifyingReader
    from engine.exporters.context import ExportContext

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_PIECE = 4 << 20


class LayoutPlace:
    """A tag in an OCI layout folder."""

    def __init__(self, backend: CacheBackend, options: ExportOptions | None = None) -> None:
        """Raises DefinitionError. A cache is exported to `dest` and imported from `src`."""
        self._folder = Path(required(backend, "src" if options is None else "dest", "FOLDER"))
        self._tag = backend.attributes.get("tag") or "latest"
        self._digest = backend.attributes.get("digest", "")
        self._reset = truth(backend, "reset")
        self._options = options or ExportOptions()
        self._seen: str | None = None
        """The digest of what was read last, empty if nothing was there."""
        try:
            if self._digest:
                parse_digest(self._digest)
        except ValueError as error:
            raise DefinitionError(f"a cache of type local: {error}") from error

    @property
    def title(self) -> str:
        """What progress shows of an export."""
        return "exporting cache to client directory"

    @property
    def name(self) -> str:
        """The folder, with what is meant of it."""
        if self._digest:
            return f"{self._folder}@{self._digest}"
        return str(self._folder) if self._tag == "latest" else f"{self._folder}:{self._tag}"

    async def read(self, chains: Chains, context: ExportContext) -> int:
        """Adds what the cache knows to `chains`."""
        self._seen = ""
        layout = await trio.to_thread.run_sync(Layout, self._folder)
        documents = _Documents(layout, self._tag, self._digest)
        self._seen = (await documents.root())[0].digest
        return await read_cache(documents, chains)

    async def write(self, chains: Chains, context: ExportContext) -> Mapping[str, str]:
        """Writes the cache, whole, under its tag."""
        image = make_image(chains, image_manifest=self._options.image_manifest, oci_types=self._options.oci_types)
        if image is None:
            return {}
        if image.descriptor.digest == self._seen:
            return cache_metadata(image)
        for blob in await trio.to_thread.run_sync(self._missing, image, context):
            await bring(context, LayerBlob(blob.descriptor, blob.origin))
        await trio.to_thread.run_sync(self._write, image, context)
        return cache_metadata(image)

    def _missing(self, image: CacheImage, context: ExportContext) -> list[CacheBlob]:
        """The layers that are neither in the folder nor here."""
        blobs = self._folder / "blobs" / "sha256"
        away = [b for b in image.blobs if not _is_placed(blobs / hex_of(b.descriptor.digest), b)]
        return [blob for blob in away if not context.blobs.has(blob.descriptor.digest)]

    def _write(self, image: CacheImage, context: ExportContext) -> None:
        blobs = self._folder / "blobs" / "sha256"
        with explained(str(self._folder)):
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(self._folder):
                self._check_unchanged()
                if self._reset:
                    _clear(self._folder)
                blobs.mkdir(parents=True, exist_ok=True)
                for blob in image.blobs:
                    _place_layer(blobs, blob, context)
                _place(blobs / hex_of(image.config_descriptor.digest), [image.config])
                _place(blobs / hex_of(image.descriptor.digest), [image.manifest])
                _place(self._folder / MARKER, [_LAYOUT])
                self._write_index(image)

    def _check_unchanged(self) -> None:
        there = [str(entry.get("digest")) for entry in _entries(self._folder / INDEX) if _tag(entry) == self._tag]
        if self._seen is not None and (there[-1] if there else "") != self._seen:
            raise CacheChanged(f"somebody else has written {self.name}")

    def _write_index(self, image: CacheImage) -> None:
        entry = oci.descriptor_fields(image.descriptor) | {"annotations": {oci.REF_NAME: self._tag}}
        others = [item for item in _entries(self._folder / INDEX) if _tag(item) != self._tag]
        index = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [*others, entry]}
        with whole_file(self._folder / INDEX) as file:
            file.write(oci.go_json(index))


class _Documents:
    """Manifests and configs of a layout."""

    def __init__(self, layout: Layout, tag: str, digest: str) -> None:
        self._layout = layout
        self._tag = tag
        self._digest = digest

    @property
    def origin(self) -> str:
        return f"{LAYOUT_ORIGIN}{self._layout.path}"

    async def root(self) -> tuple[oci.Descriptor, bytes]:
        descriptor = self._layout.find(f"@{self._digest}") if self._digest else self._tagged()
        return descriptor, await self.manifest(descriptor)

    def _tagged(self) -> oci.Descriptor:
        entries = self._layout.index.manifests
        found = [entry for entry in entries if entry.annotations.get(oci.REF_NAME) == self._tag]
        if found:
            return found[-1]
        tags = ", ".join(sorted({entry.annotations.get(oci.REF_NAME, "") for entry in entries} - {""}))
        raise SourceError(
            f'there is no cache "{self._tag}" in {self._layout.path}', hint=f"it has: {tags}" if tags else "it is empty"
        )

    async def manifest(self, descriptor: oci.Descriptor) -> bytes:
        return await trio.to_thread.run_sync(self._layout.read, descriptor.digest, oci.MAX_MANIFEST)

    async def blob(self, descriptor: oci.Descriptor, limit: int) -> bytes:
        return await trio.to_thread.run_sync(self._layout.read, descriptor.digest, limit)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Held while a folder is written to, for other builds may write to it as well."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _clear(folder: Path) -> None:
    """Takes away what a cache consists of, and nothing else that may lie there."""
    shutil.rmtree(folder / "blobs", ignore_errors=True)
    for name in (INDEX, MARKER):
        (folder / name).unlink(missing_ok=True)


def _place_layer(blobs: Path, blob: CacheBlob, context: ExportContext) -> None:
    descriptor = blob.descriptor
    part = f"writing layer {descriptor.digest}"
    path = blobs / hex_of(descriptor.digest)
    if not _is_placed(path, blob):
        context.progress(part, 0, descriptor.size, False)
        with context.blobs.open(descriptor.digest) as source:
            _place(path, _pieces(source))
    context.progress(part, descriptor.size, descriptor.size, True)


def _is_placed(path: Path, blob: CacheBlob) -> bool:
    return path.is_file() and path.stat().st_size == blob.descriptor.size


def _pieces(source: VerifyingReader) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _place(path: Path, data: Iterator[bytes] | Sequence[bytes]) -> None:
    with whole_file(path) as file:
        for piece in data:
            file.write(piece)


def _entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a layout's index, as they are."""
    try:
        entries = json.loads(path.read_bytes())["manifests"]
        if not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("an entry is no object")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is no index of an OCI layout: {error}", hint="choose another dest") from error
    return list(entries)


def _tag(entry: Mapping[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(oci.REF_NAME, "")) if isinstance(annotations, dict) else ""

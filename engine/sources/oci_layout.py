"""Images in an OCI image layout: a folder, or a tar of one, such as `skopeo copy … oci-archive:FILE` writes.

Format: OCI image-spec, image-layout.md. Nothing in a layout is believed: every blob is verified when it is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from engine import oci, platforms
from engine.blobs import CorruptBlob
from engine.concurrency import Turns, in_thread
from engine.digests import Digest, hex_of, parse_digest, sha256
from engine.errors import SourceError
from engine.frontends.contract import ResolvedImage
from engine.llb.definition import Vertex
from engine.llb.ops import Platform
from engine.sources.contract import Resolved
from engine.sources.found_image import FoundImage, find_image
from engine.sources.image import limit_of, resolved_image
from engine.sources.layers import LAYOUT_ORIGIN
from engine.sources.streams import READ, BlobStream
from engine.state import State

SCHEME = "oci-layout://"
INDEX = "index.json"
MARKER = "oci-layout"


class _Files(Protocol):
    """The files of a layout by their path in it."""

    def open(self, name: str) -> BinaryIO:
        """Raises FileNotFoundError."""
        ...


class _FolderFiles:
    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> BinaryIO:
        fd = os.open(self._path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        file = os.fdopen(fd, "rb")
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            file.close()
            raise FileNotFoundError(name)
        return file


class _TarFiles:
    """The members of a tar, which is read in place."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError if it is none."""
        import tarfile

        try:
            with tarfile.open(path, "r:") as tar:
                members = [m for m in tar.getmembers() if m.isreg() and not m.issparse()]
        except tarfile.TarError as error:
            raise SourceError(
                f"{path} is neither an OCI layout folder nor a tar of one: {error}",
                hint="if it is compressed, unpack it",
            ) from None
        self._places = {m.name.removeprefix("./"): (m.offset_data, m.size) for m in members}
        self._path = path

    def open(self, name: str) -> BinaryIO:
        if name not in self._places:
            raise FileNotFoundError(name)
        return _Part(self._path, *self._places[name])  # type: ignore[return-value]


class _Part:
    """A stretch of a file, to be read."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Layout:
    """An open layout."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError if there is no layout at `path`."""
        self.path = path.absolute()
        try:
            self._files: _Files = _FolderFiles(path) if path.is_dir() else _TarFiles(path)
            with self._files.open(MARKER) as file:
                file.read(1)
            with self._files.open(INDEX) as file:
                data = file.read(oci.MAX_MANIFEST + 1)
        except FileNotFoundError as error:
            hint = "make one with `skopeo copy … oci:FOLDER` or an output of type=oci"
            if not path.is_dir() and path.exists():
                hint = "a docker archive can be turned into one with `skopeo copy docker-archive:FILE oci:FOLDER`"
            raise SourceError(
                f"there is no OCI layout at {path}: {error.filename or error} is missing", hint=hint
            ) from None
        except OSError as error:
            raise SourceError(f"cannot read the OCI layout {path}: {error.strerror or error}") from error
        index = oci.parse_document(data, oci.OCI_INDEX)
        assert isinstance(index, oci.Index)
        self.index = index

    def find(self, reference: str) -> oci.Descriptor:
        """What `NAME[:TAG][@DIGEST]` means here: the digest decides, then the tag, then whatever there is only one of.

        Raises:
            SourceError: if it is not there, or could be several.
        """
        name, at, digest_text = reference.partition("@")
        entries = self.index.manifests
        if at:
            try:
                digest = parse_digest(digest_text)
            except ValueError as error:
                raise SourceError(f"in the reference {reference}: {error}") from error
            known = next((entry for entry in entries if entry.digest == digest), None)
            return known or oci.Descriptor("", digest, 0)
        head, colon, tag = name.rpartition(":")
        tagged = bool(colon) and "/" not in tag and head != ""
        wanted = {tag, name} if tagged else {"latest", name}
        found = {
            e.digest: e
            for e in entries
            if wanted & {e.annotations.get(oci.REF_NAME), e.annotations.get(oci.CONTAINERD_NAME)}
        }
        if not found and not tagged:
            found = {e.digest: e for e in entries}
        if len(found) == 1:
            return next(iter(found.values()))
        tags = ", ".join(sorted({e.annotations.get(oci.REF_NAME, e.digest) for e in entries})) or "nothing"
        what = f'no image "{tag if tagged else name}"' if not found else f'several images "{name}"'
        raise SourceError(
            f"the OCI layout {self.path} has {what}", hint=f"it has: {tags}; name one as PATH:TAG or PATH@DIGEST"
        )

    def open(self, digest: Digest) -> BinaryIO:
        """A blob, unverified. Raises SourceError if it is not there."""
        try:
            return self._files.open(f"blobs/sha256/{hex_of(digest)}")
        except FileNotFoundError:
            raise SourceError(f"the OCI layout {self.path} does not have the blob {digest}") from None
        except OSError as error:
            raise SourceError(f"cannot read the blob {digest} of {self.path}: {error.strerror or error}") from error

    def read(self, digest: Digest, limit: int) -> bytes:
        """A small blob, verified. Raises SourceError, CorruptBlob."""
        with self.open(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise SourceError(f"the blob {digest} of {self.path} is bigger than the {limit} bytes allowed")
        if sha256(data) != digest:
            raise _corrupt(self.path, digest)
        return data

    async def document(self, digest: Digest, media_type: str) -> bytes:
        """A manifest or index."""
        return await in_thread(self.read, digest, oci.MAX_MANIFEST)

    async def config(self, blob: oci.Descriptor) -> bytes:
        """An image config."""
        return await in_thread(self.read, blob.digest, oci.MAX_CONFIG)


class _HashedBlob:
    """A `BlobStream` over a file."""

    def __init__(self, file: BinaryIO, blob: oci.Descriptor, path: Path) -> None:
        self._file, self._blob, self._path = file, blob, path
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(READ if size < 0 else size)
        self._hash.update(data)
        return data

    def finish(self) -> None:
        while self.read():
            pass
        if self._hash.hexdigest() != hex_of(self._blob.digest):
            raise _corrupt(self._path, self._blob.digest)


@asynccontextmanager
async def open_blob(layout: Path, blob: oci.Descriptor) -> AsyncIterator[BlobStream]:
    """A layer's blob in a layout, for a thread that reads it."""
    opened = await in_thread(Layout, layout)
    with opened.open(blob.digest) as file:
        yield _HashedBlob(file, blob, layout)


class LayoutResolver:
    """Finds images in layouts, each once in the life of this object, whoever asks: what is found then, holds."""

    def __init__(self) -> None:
        self._found: dict[tuple[Path, str, Platform], FoundImage] = {}
        self._layouts: dict[Path, Layout] = {}
        self._turns: dict[Path, Turns] = {}

    async def resolve(self, folder: Path, reference: str, platform: Platform) -> ResolvedImage:
        """The image that `NAME[:TAG][@DIGEST]` means in the layout at `folder` (or in a tar there).

        Raises:
            SourceError: if there is none for this platform.
        """
        image = await self.find(folder, reference, platform)
        return ResolvedImage(reference.partition("@")[0], image.digest, image.config, image.platform)

    async def find(self, folder: Path, reference: str, platform: Platform) -> FoundImage:
        """The same, with the manifest."""
        key = folder, reference, platforms.normalize(platform)
        async with self._turns.setdefault(folder, Turns()):
            if key not in self._found:
                if folder not in self._layouts:
                    self._layouts[folder] = await in_thread(Layout, folder)
                layout = self._layouts[folder]
                top = layout.find(reference)
                self._found[key] = await find_image(
                    f"{reference} in {folder}", top.digest, key[2], layout, top.media_type
                )
        return self._found[key]


class LayoutSource:
    """An `oci-layout://` vertex. Its folder is the one given for its `oci.session`, or for its `oci.store`."""

    def __init__(self, vertex: Vertex, folders: Mapping[str, Path], layouts: LayoutResolver, state: State) -> None:
        source = vertex.op.source
        assert source is not None
        self._reference = source.identifier.removeprefix(SCHEME)
        self._attrs = source.attrs
        self._platform = platforms.normalize(vertex.op.platform) if vertex.op.platform else platforms.host()
        self._folders = folders
        self._layouts = layouts
        self._state = state

    async def resolve(self) -> Resolved:
        """The manifest that is meant, its keys and its layers, which stay where they are."""
        session, store = self._attrs.get("oci.session", ""), self._attrs.get("oci.store", "")
        path = self._folders.get(session) or self._folders.get(store)
        if path is None:
            raise SourceError(f"no folder was given for the OCI layout {store or self._reference}")
        image = await self._layouts.find(path, self._reference, self._platform)
        limit = limit_of(self._attrs.get("oci.layerlimit"))
        return resolved_image(image, self._platform, self._state, limit, _origin(path))


def _origin(path: Path) -> str:
    return f"{LAYOUT_ORIGIN}{path.absolute()}"


def _corrupt(path: Path, digest: Digest) -> CorruptBlob:
    return CorruptBlob(f"the blob {digest} of the OCI layout {path} is damaged", hint="write the layout anew")

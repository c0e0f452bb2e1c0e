"""An OCI layout folder to write into, which others may be writing into as well.

Blobs come first, last an image's entry in the index, in place of one of the same name.
Format: OCI image-spec, image-layout.md.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import oci
from engine.digests import Digest, hex_of
from engine.errors import ExportError
from engine.exporters.destination import explained, whole_file

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class LayoutFolder:
    """A layout folder. It is made when the first blob comes."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._blobs = self.path / "blobs" / "sha256"

    def blob_path(self, digest: Digest) -> Path:
        """Where a blob is, or would be."""
        return self._blobs / hex_of(digest)

    def has(self, blob: oci.Descriptor) -> bool:
        """Whether a blob of this size is there."""
        path = self.blob_path(blob.digest)
        return path.is_file() and path.stat().st_size == blob.size

    def put(self, digest: Digest, size: int, data: Iterator[bytes]) -> None:
        """Writes a blob, unless it is there. Raises ExportError."""
        with explained(str(self.path)):
            self._blobs.mkdir(parents=True, exist_ok=True)
            _place(self.blob_path(digest), data, size)

    def enter(self, entries: Sequence[oci.Descriptor]) -> None:
        """Puts images into the index, their blobs being there. Raises ExportError."""
        with explained(str(self.path)), self._locked():
            _place(self.path / "oci-layout", iter([LAYOUT]), len(LAYOUT))
            old = _old_entries(self.path / "index.json")
            kept = [item for item in old if not any(_replaces(entry, item) for entry in entries)]
            _place(self.path / "index.json", iter([index_with(kept, entries)]), -1)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Other targets of this build, and other builds, may be writing to the same layout."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _place(path: Path, data: Iterator[bytes], size: int) -> None:
    """Writes a file whole, unless one of that size is there."""
    if path.is_file() and path.stat().st_size == size:
        return
    with whole_file(path) as file:
        for piece in data:
            file.write(piece)


def _old_entries(path: Path) -> list[Mapping[str, Any]]:
    try:
        index = json.loads(path.read_bytes())
        manifests = index["manifests"] or []
        if not all(isinstance(item, dict) and isinstance(item.get("annotations") or {}, dict) for item in manifests):
            raise ValueError("an entry is no object")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is no index of an OCI layout: {error}", hint="choose another dest") from error
    return list(manifests)


def _replaces(entry: oci.Descriptor, old: Mapping[str, Any]) -> bool:
    """Whether an entry takes an old one's place: the same name, or the same image without one."""
    annotations = old.get("annotations") or {}
    for key in (oci.CONTAINERD_NAME, oci.REF_NAME):
        if name := entry.annotations.get(key):
            return bool(annotations.get(key) == name)
    return old.get("digest") == entry.digest and oci.CONTAINERD_NAME not in annotations


def index_with(kept: Sequence[Mapping[str, Any]], entries: Sequence[oci.Descriptor]) -> bytes:
    """The bytes of a layout's index."""
    manifests = [*kept, *(oci.descriptor_fields(entry) for entry in entries)]
    return oci.go_json({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": manifests})

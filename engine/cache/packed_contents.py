"""Whether a layer's files hold what its packed form holds, for layers that came with an image or were exported.

A blob proves itself by its digest, so it is a witness that was there before the disk forgot anything: of a layer that
nobody has read so far it tells what its files were. What a tar does not hold (files that are the same in the layers
below, attributes, holes) it cannot tell.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from engine.archive.compression import decompressor
from engine.archive.errors import ArchiveError
from engine.archive.tar_reader import FILE, SYMLINK, Member, TarReader
from engine.digests import Digest, hex_of
from engine.state import State

_BITE = 1 << 20


def as_packed(state: State, layer: str) -> bool | None:
    """Whether the files of a layer are those of one of its blobs; None if none is here, or proves nothing.

    Raises:
        OSError: if a file of the layer cannot be read.
    """
    for (digest,) in state.query("SELECT digest FROM layer_blobs WHERE layer = ? ORDER BY options, digest", layer):
        same = _compared(state.blobs / hex_of(Digest(digest)), digest, state.layers / layer / "fs")
        if same is not None:
            return same
    return None


def _compared(blob: Path, digest: str, folder: Path) -> bool | None:
    comparison = _Comparison(folder)
    try:
        with blob.open("rb") as file:
            witness = _Witness(file)
            comparison.run(TarReader(decompressor(witness)))
            return not comparison.different if witness.digest() == digest else None
    except (_Unreadable, ArchiveError, FileNotFoundError):
        return None


class _Unreadable(Exception):
    """A blob that cannot be read, which says nothing of its layer."""


class _Witness:
    """A blob that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            raise _Unreadable from error
        self._hash.update(data)
        return data

    def digest(self) -> str:
        """That of all of it."""
        while self.read(_BITE):
            pass
        return f"sha256:{self._hash.hexdigest()}"


class _Comparison:
    """The members of a tar, each with the file of its name. What is not there, or is of another kind, proves nothing:
    the layer's mark tells of that, and a tar may name a path in more than one way."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._real: dict[str, bool] = {}
        self.different: set[str] = set()

    def run(self, reader: TarReader) -> None:
        for member in reader:
            path = os.path.normpath(f"/{member.name}").lstrip("/")
            self.different.discard(path)  # the last member of a name counts
            if member.kind in (FILE, SYMLINK) and self._is_real(os.path.dirname(path)):
                with suppress(FileNotFoundError):
                    if not self._same(f"{self._folder}/{path}", member, reader):
                        self.different.add(path)

    def _is_real(self, parent: str) -> bool:
        """Whether no link leads out of the way to a folder."""
        known = self._real.get(parent)
        if known is None:
            place = os.path.join(self._folder, parent).rstrip("/")
            known = self._real[parent] = os.path.realpath(place) == place
        return known

    @staticmethod
    def _same(place: str, member: Member, reader: TarReader) -> bool:
        info = os.lstat(place)
        if member.kind == SYMLINK:
            return not stat.S_ISLNK(info.st_mode) or os.readlink(place) == member.link
        if not stat.S_ISREG(info.st_mode):
            return True
        with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if member.ranges is None:
                return all(file.read(len(piece)) == piece for piece in reader.data()) and not file.read(1)
            ranges = iter(member.ranges)
            room = 0
            for piece in reader.data():
                while piece:
                    while not room:
                        offset, room = next(ranges)
                        file.seek(offset)
                    taken = min(room, len(piece))
                    if file.read(taken) != piece[:taken]:
                        return False
                    piece, room = piece[taken:], room - taken
            return True

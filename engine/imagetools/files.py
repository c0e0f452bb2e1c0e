"""The files of an image, as its layers make them: read from the tars, whiteouts applied, nothing unpacked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from engine import oci
from engine.archive.compression import decompressor
from engine.archive.tar_reader import FILE, FOLDER, LINK, Readable, TarReader
from engine.archive.unpack import OPAQUE, WHITEOUT
from engine.imagetools.place import Place
from engine.sources.streams import first_error
from engine.values import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PIECES = 16


@frozen
class ImageFile:
    """A file as a layer describes it. `content` is the digest of its bytes, or where a link leads."""

    kind: str
    mode: int
    owner: str
    size: int
    mtime: int
    content: str
    xattrs: str = ""


Files = dict[str, ImageFile]


async def add_layer(files: Files, place: Place, layer: oci.Descriptor) -> None:
    """What a layer makes of the files below.

    Raises:
        SourceError: if the layer cannot be had.
        ArchiveError: if it is no proper layer.
    """
    send, receive = trio.open_memory_channel[bytes](_PIECES)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pour, place.blob(layer), send)
            await trio.to_thread.run_sync(_read_layer, _Stream(receive), files)
    except BaseExceptionGroup as group:
        raise first_error(group) from None


async def _pour(pieces: AsyncGenerator[bytes, None], send: trio.MemorySendChannel[bytes]) -> None:
    async with send, aclosing(pieces):
        async for piece in pieces:
            await send.send(piece)


class _Stream:
    """What arrives, as a thread reads it."""

    def __init__(self, receive: trio.MemoryReceiveChannel[bytes]) -> None:
        self._receive = receive
        self._left = b""

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            try:
                self._left = trio.from_thread.run(self._receive.receive)
            except trio.EndOfChannel:
                return b""
        if size < 0:
            size = len(self._left)
        data, self._left = self._left[:size], self._left[size:]
        return data


def _read_layer(stream: Readable, files: Files) -> None:
    tar = decompressor(stream)
    new: Files = {}
    reader = TarReader(tar)
    for member in reader:
        path = "/" + "/".join(part for part in member.name.split("/") if part not in ("", "."))
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            _forget(files, folder + "/")
        elif name.startswith(WHITEOUT):
            gone = f"{folder}/{name.removeprefix(WHITEOUT)}"
            files.pop(gone, None)
            _forget(files, gone + "/")
        elif path != "/":
            if member.kind != FOLDER:
                _forget(files, path + "/")
            linked = "/" + member.link.strip("/") if member.kind == LINK else ""
            target = new.get(linked) or files.get(linked)
            if member.kind == LINK and target is not None:
                new[path] = target
                continue
            xattrs = " ".join(f"{key}={value.hex()}" for key, value in sorted(member.xattrs.items()))
            new[path] = ImageFile(
                _KINDS.get(member.kind, "other"),
                member.mode,
                f"{member.uid}:{member.gid}",
                member.real_size if member.ranges is not None else member.size,
                member.mtime_ns // 1_000_000_000,
                _digest(reader) if member.kind == FILE else member.link,
                xattrs,
            )
    reader.drain()
    while tar.read(1 << 20):
        pass
    files.update(new)


_KINDS = {b"0": "file", b"1": "link", b"2": "symlink", b"3": "device", b"4": "device", b"5": "folder", b"6": "pipe"}


def _digest(reader: TarReader) -> str:
    hashing = hashlib.sha256()
    for piece in reader.data():
        hashing.update(piece)
    return f"sha256:{hashing.hexdigest()}"


def _forget(files: Files, prefix: str) -> None:
    for path in [path for path in files if path.startswith(prefix)]:
        del files[path]


@frozen
class FileChange:
    """A path that differs: `what` is `added`, `removed` or `changed`, `how` the properties that did."""

    path: str
    what: str
    how: tuple[str, ...] = ()


def file_changes(one: Files, other: Files, *, times: bool) -> Iterator[FileChange]:
    """What has to be done to get from one to the other, by path. `times`: those count, too."""
    for path in sorted(one.keys() | other.keys()):
        before, after = one.get(path), other.get(path)
        if after is None:
            yield FileChange(path, "removed")
        elif before is None:
            yield FileChange(path, "added", (_size(after),) if after.kind == "file" else ())
        elif how := tuple(_differences(before, after, times=times)):
            yield FileChange(path, "changed", how)


def _size(file: ImageFile) -> str:
    return f"{file.size} bytes"


def _differences(one: ImageFile, other: ImageFile, *, times: bool) -> Iterator[str]:
    if one.kind != other.kind:
        yield f"{one.kind} → {other.kind}"
        return
    if one.mode != other.mode:
        yield f"mode {one.mode:04o} → {other.mode:04o}"
    if one.owner != other.owner:
        yield f"owner {one.owner} → {other.owner}"
    if one.size != other.size:
        yield f"size {one.size} → {other.size}"
    elif one.content != other.content:
        yield "content" if one.kind == "file" else f"target {one.content} → {other.content}"
    if one.xattrs != other.xattrs:
        yield "attributes"
    if times and one.mtime != other.mtime:
        yield f"time {one.mtime} → {other.mtime}"

"""Layers as eStargz: a gzip whose files can be found and unpacked one by one, so that a snapshotter may fetch lazily.

Each piece of content of up to 4 MiB begins a gzip member of its own; a table of contents (JSON, as the last file of the
tar) says where, and a footer of 51 bytes says where the table is. To anybody else it is an ordinary gzipped layer.
Format: github.com/containerd/stargz-snapshotter, docs/estargz.md.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import time
import zlib
from collections.abc import Generator
from typing import Any, Protocol

from engine.archive.tar_reader import (
    BLOCK,
    BLOCK_DEVICE,
    CHAR,
    FIFO,
    FILE,
    FOLDER,
    LINK,
    SYMLINK,
    Member,
    TarReader,
)
from engine.archive.tar_writer import member_header
from engine.digests import Digest, sha256
from engine.errors import ExportError

CHUNK = 4 << 20
"""Bytes of content that one gzip member has at most."""
TOC_ANNOTATION = "containerd.io/snapshot/stargz/toc.digest"
SIZE_ANNOTATION = "io.containers.estargz.uncompressed-size"

_TOC_NAME = "stargz.index.json"
_LANDMARK = ".no.prefetch.landmark"
"""Says that nothing is to be fetched ahead."""
_LANDMARK_CONTENT = b"\x0f"
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_EXTENDED = b"xgLK"
_KINDS = {
    FILE: "reg",
    LINK: "hardlink",
    SYMLINK: "symlink",
    CHAR: "char",
    BLOCK_DEVICE: "block",
    FOLDER: "dir",
    FIFO: "fifo",
}


class _Sink(Protocol):
    def write(self, data: bytes | memoryview, /) -> Any: ...


class EstargzWriter:
    """Takes a tar, in pieces of any size, and writes it into `sink` as eStargz. `level` is gzip's.

    Once closed, `diff_id` is the digest of the tar inside (which has two files more than the one that came),
    `toc_digest` that of the table of contents, and `uncompressed` the tar's size in bytes.
    """

    def __init__(self, sink: _Sink, level: int | None = None) -> None:
        self._sink = _Counting(sink)
        self._level = 6 if level is None else level
        self._tar = hashlib.sha256()
        self._member: _GzipMember | None = None
        self._entries: list[dict[str, Any]] = []
        self._buffer = bytearray()
        self._ended = False
        self.uncompressed = 0
        self.toc_digest = Digest("")
        self._parser = self._parse()
        next(self._parser)
        self._add_landmark()

    def write(self, data: bytes | memoryview, /) -> int:
        """Takes some bytes. Raises ExportError if they are no tar."""
        self._buffer += data
        if not self._ended:
            try:
                self._parser.send(None)
            except StopIteration:
                self._ended = True
        return len(data)

    def close(self) -> None:
        """Writes the table of contents and the footer. Raises ExportError if the tar is cut off."""
        if not self._ended:
            raise ExportError("a layer's tar ended early")
        table = json.dumps({"version": 1, "entries": self._entries}, indent="\t", ensure_ascii=False).encode()
        self.toc_digest = sha256(table)
        self._end_member()
        at = self._sink.count
        self._put(member_header(_TOC_NAME, FILE, 0, 0, 0, len(table), 0, "", 0, 0, {}))
        self._put(table + bytes(-len(table) % BLOCK))
        self._put(bytes(2 * BLOCK))
        self._end_member()
        self._sink.write(_footer(at))

    @property
    def diff_id(self) -> Digest:
        """The digest of the tar inside."""
        return Digest(f"sha256:{self._tar.hexdigest()}")

    def _put(self, data: bytes | bytearray | memoryview) -> None:
        """Adds to the tar, in the member that is open."""
        self._tar.update(data)
        self.uncompressed += len(data)
        if self._member is None:
            self._member = _GzipMember(self._sink, self._level)
        self._member.write(data)

    def _end_member(self) -> None:
        if self._member is not None:
            self._member.close()
            self._member = None

    def _add_landmark(self) -> None:
        self._put(member_header(_LANDMARK, FILE, 0o644, 0, 0, 1, 0, "", 0, 0, {}))
        entry = self._entry(Member(_LANDMARK, FILE, 0o644, 0, 0, 1, 0))
        self._chunk(entry, _LANDMARK_CONTENT)
        entry["digest"] = entry["chunkDigest"]
        self._put(bytes(BLOCK - 1))

    def _parse(self) -> Generator[None, None, None]:
        """Goes through the tar as it comes; ends at its end."""
        while True:
            head = yield from self._need(BLOCK)
            if not head.strip(b"\0"):
                return
            while head[-BLOCK + 156] in _EXTENDED:
                size = int(head[-BLOCK + 124 : -BLOCK + 135].strip(b"\0 ") or b"0", 8)
                head += yield from self._need(size + -size % BLOCK)
                head += yield from self._need(BLOCK)
            member = next(iter(TarReader(io.BytesIO(bytes(head)))))
            self._put(head)
            entry = self._entry(member)
            if member.kind == FILE and member.size:
                yield from self._content(member, entry)

    def _content(self, member: Member, entry: dict[str, Any]) -> Generator[None, None, None]:
        whole, done, first = hashlib.sha256(), 0, entry
        while done < member.size:
            piece = yield from self._need(min(CHUNK, member.size - done))
            whole.update(piece)
            if done:
                entry = {"name": member.name, "type": "chunk", "chunkOffset": done}
                self._entries.append(entry)
            if len(piece) < member.size:
                entry["chunkSize"] = len(piece)
            self._chunk(entry, piece)
            done += len(piece)
        first["digest"] = f"sha256:{whole.hexdigest()}"
        self._put((yield from self._need(-member.size % BLOCK)))

    def _chunk(self, entry: dict[str, Any], piece: bytes | bytearray) -> None:
        """A piece of content, at the beginning of a member of its own."""
        self._end_member()
        entry["offset"] = self._sink.count
        entry["chunkDigest"] = sha256(bytes(piece))
        self._put(piece)

    def _need(self, count: int) -> Generator[None, None, bytearray]:
        while len(self._buffer) < count:
            yield
        taken = self._buffer[:count]
        del self._buffer[:count]
        return taken

    def _entry(self, member: Member) -> dict[str, Any]:
        """What the table says of a member, as Go would write it; what is empty is left out."""
        found: dict[str, Any] = {
            "name": member.name,
            "type": _KINDS.get(member.kind, "reg"),
            "size": member.size if member.kind == FILE else 0,
            "modtime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(member.mtime_ns // 1_000_000_000)),
            "linkName": member.link,
            "mode": member.mode,
            "uid": member.uid,
            "gid": member.gid,
            "devMajor": member.major,
            "devMinor": member.minor,
            "xattrs": {key: base64.b64encode(value).decode() for key, value in member.xattrs.items()},
        }
        entry = {key: value for key, value in found.items() if value}
        self._entries.append(entry)
        return entry


class _Counting:
    """Counts what goes into a stream."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self.count = 0

    def write(self, data: bytes | memoryview, /) -> None:
        self._sink.write(data)
        self.count += len(data)


class _GzipMember:
    """One gzip member, without name or time, so that equal content gives equal bytes."""

    def __init__(self, sink: _Counting, level: int) -> None:
        self._sink = sink
        self._deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
        self._crc = self._size = 0
        sink.write(_HEADER)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        if packed := self._deflate.compress(data):
            self._sink.write(packed)

    def close(self) -> None:
        self._sink.write(self._deflate.flush())
        self._sink.write(struct.pack("<LL", self._crc, self._size & 0xFFFFFFFF))


def _footer(at: int) -> bytes:
    """An empty gzip member whose extra field says where the table's member begins."""
    payload = f"{at:016x}STARGZ".encode()
    extra = b"SG" + struct.pack("<H", len(payload)) + payload
    header = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + struct.pack("<H", len(extra)) + extra
    return header + b"\x01\x00\x00\xff\xff" + bytes(8)

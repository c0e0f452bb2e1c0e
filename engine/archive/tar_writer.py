"""Writes tar streams with the very bytes that Go's `archive/tar` would write: diff IDs are digests of them.

Members are in PAX form: a plain ustar header, preceded by an extended one only where something does not fit: names
that are not ASCII, or longer than 100 bytes and not to be cut in two at a slash; numbers too big for their field. Where
there is an extended header, it has every name longer than 100 bytes.
Sources: POSIX pax; the format rules are those of Go's `tar.Writer` with `FormatPAX`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from engine.archive.errors import ArchiveError
from engine.archive.tar_reader import BLOCK, FILE

_FLUSH_AT = 1 << 20
_END = bytes(2 * BLOCK)
_TYPE_EXTENDED = b"x"


class Sink(Protocol):
    """Where the stream goes; takes all it is given."""

    def write(self, data: bytes | bytearray | memoryview, /) -> Any:
        """Takes some bytes; keeps no reference to them."""
        ...


class TarWriter:
    """Writes members into a sink, gathering small ones into pieces of a megabyte."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()

    def add(
        self,
        name: str,
        kind: bytes = FILE,
        *,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        mtime: int = 0,
        link: str = "",
        major: int = 0,
        minor: int = 0,
        records: Mapping[str, bytes] | None = None,
        size: int = 0,
        data: Iterable[bytes | bytearray | memoryview] = (),
    ) -> None:
        """One member. `mtime` in seconds since the epoch; `data` holds exactly `size` bytes.

        Raises:
            ArchiveError: if `data` is of another size.
        """
        head = member_header(name, kind, mode, uid, gid, size, mtime, link, major, minor, records or {})
        self._write(head)
        missing = size
        for piece in data:
            missing -= len(piece)
            if missing < 0:
                break
            self._write(piece)
        if missing:
            raise ArchiveError(f"{name!r} changed while it was read")
        if size % BLOCK:
            self._write(bytes(-size % BLOCK))

    def add_short(self, name: str) -> None:
        """An empty file of mode 0 and time 0, as whiteouts are: in ustar form where its name fits."""
        raw = _encoded(name)
        split = _ustar_split(raw)
        if split is None:
            self.add(name, mode=0)
        else:
            self._write(_block(split[1], FILE, 0, 0, 0, 0, 0, b"", 0, 0, prefix=split[0]))

    def close(self) -> None:
        """Ends the archive; the sink stays open."""
        self._write(_END)
        self._flush()

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) >= _FLUSH_AT:
            self._flush()
            self._sink.write(data)
            return
        self._buffer += data
        if len(self._buffer) >= _FLUSH_AT:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._sink.write(self._buffer)
            self._buffer = bytearray()


def member_header(
    name: str,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    link: str,
    major: int,
    minor: int,
    records: Mapping[str, bytes],
) -> bytes:
    """The blocks that precede a member's data."""
    raw_name, raw_link = _encoded(name), _encoded(link)
    extended = dict(records)
    if len(raw_name) > 100 or not raw_name.isascii():
        extended["path"] = raw_name
    if len(raw_link) > 100 or not raw_link.isascii():
        extended["linkpath"] = raw_link
    for key, number, digits in (("uid", uid, 7), ("gid", gid, 7), ("size", size, 11), ("mtime", mtime, 11)):
        if not 0 <= number < 8**digits:
            extended[key] = b"%d" % number
    split = _ustar_split(raw_name) if not extended.keys() - {"path"} else None
    if split is not None:  # as Go does it: a long name is cut in two where nothing else needs an extended header
        prefix, rest = split
        return _block(rest, kind, mode, uid, gid, size, mtime, _ascii(raw_link), major, minor, prefix=prefix)
    block = _block(_ascii(raw_name), kind, mode, uid, gid, size, mtime, _ascii(raw_link), major, minor)
    content = b"".join(_record(key, extended[key]) for key in sorted(extended))
    folder, _, base = raw_name.rpartition(b"/")
    parts = [part for part in (folder.rstrip(b"/"), b"PaxHeaders.0", base) if part]
    extended_name = _ascii(b"/".join(parts))[:100].rstrip(b"/")
    head = _block(extended_name, _TYPE_EXTENDED, 0, 0, 0, len(content), 0, b"", None, None)
    return head + content + bytes(-len(content) % BLOCK) + block


def _block(
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    link: bytes,
    major: int | None,
    minor: int | None,
    *,
    prefix: bytes = b"",
) -> bytes:
    block = b"".join(
        (
            _cut_name(name).ljust(100, b"\0"),
            _octal(mode, 8),
            _octal(uid, 8),
            _octal(gid, 8),
            _octal(size, 12),
            _octal(mtime, 12),
            b" " * 8,
            kind,
            link[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),  # the names of user and group: numbers are all that counts
            bytes(8) if major is None else _octal(major, 8),
            bytes(8) if minor is None else _octal(minor, 8),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _cut_name(name: bytes) -> bytes:
    """A name that ends in `/` after being cut would make old readers take a file for a folder."""
    if len(name) > 100 and name[99:100] == b"/":
        return name[:99].rstrip(b"/")
    return name[:100]


def _octal(number: int, width: int) -> bytes:
    """Zero-padded with a NUL at the end; 0 for what does not fit (an extended header has it)."""
    if not 0 <= number < 8 ** (width - 1):
        number = 0
    return b"%0*o\0" % (width - 1, number)


def _record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode() + b"=" + value + b"\n"
    size = len(body) + len(str(len(body)))
    if len(str(size)) + len(body) != size:
        size += 1
    return str(size).encode() + body


def _ascii(raw: bytes) -> bytes:
    return raw if raw.isascii() else bytes(byte for byte in raw if byte < 0x80)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _ustar_split(name: bytes) -> tuple[bytes, bytes] | None:
    """A name as ustar's prefix and name, None if it cannot be so."""
    if not name.isascii():
        return None
    if len(name) <= 100:
        return b"", name
    cut = name.rfind(b"/", 0, min(156, len(name) - name.endswith(b"/")))
    if cut <= 0 or len(name) - cut - 1 > 100:
        return None
    return name[:cut], name[cut + 1 :]

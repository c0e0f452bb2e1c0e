"""Reads tar streams: ustar, PAX, GNU and old V7 headers, as Go's `archive/tar` understands them.

The standard library's reader costs about ten times as much per member and cannot read a stream ahead of its members
without seeking; this one does nothing but what unpacking needs.
Sources: POSIX pax (ustar and extended headers), the GNU tar manual ("Basic Tar Format").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from typing import BinaryIO, Protocol

from engine.archive import sparse
from engine.archive.errors import ArchiveError
from engine.values import frozen

BLOCK = 512
CHUNK = 1 << 20
MAX_EXTENDED_HEADER = 1 << 20
"""The longest extended header that is read, in bytes (as Go's reader)."""

FILE, LINK, SYMLINK, CHAR, BLOCK_DEVICE, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_WITHOUT_DATA = frozenset((LINK, SYMLINK, CHAR, BLOCK_DEVICE, FOLDER, FIFO))
_XATTR = "SCHILY.xattr."


class Readable(Protocol):
    """All that is asked of a stream: like `BinaryIO.read`, may give less than asked for, `b""` at the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes."""
        ...


@frozen
class Member:
    """One member of an archive. `name` and `link` as written (bytes that are no UTF-8 are surrogates).

    `size` is how many bytes of data follow in the stream. If the file has holes, `ranges` says where those bytes
    belong and `real_size` how long it is.
    """

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: str = ""
    major: int = 0
    minor: int = 0
    xattrs: dict[str, bytes] = field(default_factory=dict)
    ranges: sparse.SparseMap | None = None
    real_size: int = 0


class TarReader:
    """Iterates over the members of a stream; `data()` gives the content of the one that was given last."""

    def __init__(self, stream: Readable | BinaryIO) -> None:
        self._stream = stream
        self._chunk = memoryview(b"")
        self._left = 0  # bytes of the present member's data not yet taken
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """The members in order.

        Raises:
            ArchiveError: if the stream is no tar archive, is cut off, or a header makes no sense.
        """
        extended: dict[str, bytes] = {}
        while (block := self._header()) is not None:
            kind = block[156:157]
            try:
                size = _number(block[124:136])
                if kind in b"xgLKXV" and kind:
                    self._extend(extended, kind, self._extended_header(size))
                    continue
                member = self._member(block, kind, size, extended)
            except (ValueError, KeyError) as error:
                raise ArchiveError(f"broken archive: a header makes no sense ({error})") from error
            extended = {}
            yield member
            self._skip(self._left + self._padding)

    def data(self) -> Iterator[memoryview]:
        """The data of the present member, in pieces."""
        while self._left:
            piece = self._piece(self._left)
            self._left -= len(piece)
            yield piece

    def drain(self) -> None:
        """Reads what follows the archive's end, for whoever checks the stream's digest."""
        while self._stream.read(CHUNK):
            pass

    def _header(self) -> bytes | None:
        block = self._take(BLOCK, at_end=True)
        if not block or not block.strip(b"\0"):
            return None
        if not is_header(block):
            raise ArchiveError("not a tar archive, or a broken one: a header's checksum is wrong")
        return block

    def _extended_header(self, size: int) -> bytes:
        if not 0 <= size <= MAX_EXTENDED_HEADER:
            raise ArchiveError(f"broken archive: an extended header of {size} bytes")
        data = self._take(size)
        self._skip(-size % BLOCK)
        return data

    @staticmethod
    def _extend(extended: dict[str, bytes], kind: bytes, data: bytes) -> None:
        """Keeps an extended header for the next member. Global ones (`g`) and volume labels say nothing we need."""
        if kind == b"L":
            extended["path"] = data.rstrip(b"\0")
        elif kind == b"K":
            extended["linkpath"] = data.rstrip(b"\0")
        elif kind in b"xX":
            _pax_records(data, extended)

    def _member(self, block: bytes, kind: bytes, size: int, extended: dict[str, bytes]) -> Member:
        ustar = block[257:262] == b"ustar"
        name = _text(block[0:100])
        if ustar and block[257:265] != b"ustar  \0" and block[345]:
            name = f"{_text(block[345:500])}/{name}"
        member = Member(
            name=name,
            kind=kind,
            mode=_number(block[100:108]) & 0o7777,
            uid=_number(block[108:116]),
            gid=_number(block[116:124]),
            size=size,
            mtime_ns=_number(block[136:148]) * 1_000_000_000,
            link=_text(block[157:257]),
            major=_number(block[329:337]) if ustar else 0,
            minor=_number(block[337:345]) if ustar else 0,
        )
        if extended:
            member = _extended(member, extended)
        if kind in (b"\0", b"7", b"S"):
            folder = kind == b"\0" and member.name.endswith("/")
            member = replace(member, kind=FOLDER if folder else FILE)
        _check_range(member)
        if not 0 <= member.mtime_ns < 1 << 63:
            member = replace(member, mtime_ns=0)
        if member.kind in _WITHOUT_DATA:
            member = replace(member, size=0)
        self._left, self._padding = member.size, -member.size % BLOCK
        if kind == b"S" or "GNU.sparse.map" in extended or "GNU.sparse.major" in extended:
            return self._sparse(member, block, kind, extended)
        return member

    def _sparse(self, member: Member, block: bytes, kind: bytes, extended: dict[str, bytes]) -> Member:
        def more() -> bytes:
            return self._take(BLOCK)

        if kind == b"S":
            real = _number(block[483:495])
            ranges = sparse.gnu_map(block, more, _number)
        else:
            real = int(extended.get("GNU.sparse.realsize") or extended["GNU.sparse.size"])
            if "GNU.sparse.map" in extended:
                ranges = sparse.pax_map(extended)
            else:
                ranges, taken = sparse.leading_map(more)
                self._left -= taken
                member = replace(member, size=self._left)
        if sum(length for _, length in ranges) != member.size:
            raise ValueError("a sparse map that does not fit its data")
        return replace(member, ranges=sparse.checked(ranges, real, member.name), real_size=real)

    def _take(self, size: int, *, at_end: bool = False) -> bytes:
        """Exactly `size` bytes; with `at_end`, none at all if the stream ends here."""
        if len(self._chunk) >= size:
            data = bytes(self._chunk[:size])
            self._chunk = self._chunk[size:]
            return data
        parts, missing = [], size
        while missing:
            if not self._chunk and not self._fill():
                if at_end and missing == size:
                    return b""
                raise ArchiveError("the archive ends in the middle of a member")
            piece = self._piece(missing)
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def _piece(self, limit: int) -> memoryview:
        if not self._chunk and not self._fill():
            raise ArchiveError("the archive ends in the middle of a member")
        piece, self._chunk = self._chunk[:limit], self._chunk[limit:]
        return piece

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._piece(size))

    def _fill(self) -> bool:
        self._chunk = memoryview(self._stream.read(CHUNK))
        return bool(self._chunk)


def is_header(block: bytes) -> bool:
    """Whether a block of 512 bytes is a tar header: its checksum says so."""
    try:
        stated = _number(block[148:156])
    except ValueError:
        return False
    # 8 blanks stand in the place of the sum itself.
    unsigned = sum(block) - sum(block[148:156]) + 256
    if stated == unsigned:
        return True
    # Some old tars summed signed characters.
    return stated == unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _check_range(member: Member) -> None:
    """Refuses numbers that the kernel has no room for (−1 as an owner would mean "leave it")."""
    limit = (1 << 32) - 1
    if member.size < 0 or not 0 <= member.uid < limit or not 0 <= member.gid < limit:
        raise ValueError("a size or owner out of range")
    if not 0 <= member.major < 1 << 12 or not 0 <= member.minor < 1 << 20:
        raise ValueError("a device number out of range")


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(raw: bytes) -> int:
    """An octal number, or GNU's base 256 where the top bit is set."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big") & ((1 << (8 * len(raw) - 1)) - 1)
        return value - (1 << (8 * len(raw) - 1)) if raw[0] & 0x40 else value
    text = raw.strip(b" \0").partition(b"\0")[0]
    return int(text, 8) if text else 0


def _pax_records(data: bytes, into: dict[str, bytes]) -> None:
    """Reads `LENGTH KEY=VALUE\\n` records. The parts of sparse form 0.0, which repeats its keys, are joined."""
    ranges: list[bytes] = []
    at = 0
    while at < len(data):
        blank = data.index(b" ", at)
        end = at + int(data[at:blank])
        if end <= blank or data[end - 1 : end] != b"\n":
            raise ValueError("a PAX record of the wrong length")
        key, equals, value = data[blank + 1 : end - 1].partition(b"=")
        if not equals:
            raise ValueError("a PAX record without a value")
        name = key.decode("utf-8", "surrogateescape")
        if name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            ranges.append(value)
        else:
            into[name] = value
        at = end
    if ranges:
        into["GNU.sparse.map"] = b",".join(ranges)


def _extended(member: Member, records: dict[str, bytes]) -> Member:
    def text(key: str, default: str) -> str:
        value = records.get(key)
        if not value:
            return default
        if b"\0" in value:
            raise ValueError("a NUL in a name")
        return value.decode("utf-8", "surrogateescape")

    return replace(
        member,
        name=text("GNU.sparse.name", text("path", member.name)),
        link=text("linkpath", member.link),
        size=int(records.get("size") or member.size),
        uid=int(records.get("uid") or member.uid),
        gid=int(records.get("gid") or member.gid),
        mtime_ns=_nanoseconds(records["mtime"]) if records.get("mtime") else member.mtime_ns,
        xattrs={key[len(_XATTR) :]: value for key, value in records.items() if key.startswith(_XATTR)},
    )


def _nanoseconds(raw: bytes) -> int:
    """A PAX time, `SECONDS[.FRACTION]`, perhaps negative."""
    seconds, _, fraction = raw.decode("ascii").partition(".")
    nanoseconds = int((fraction[:9] or "0").ljust(9, "0"))
    whole = int(seconds or 0) * 1_000_000_000
    return whole - nanoseconds if seconds.startswith("-") else whole + nanoseconds

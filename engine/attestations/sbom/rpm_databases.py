"""rpm's older databases: Berkeley DB hashes (until 2020) and ndb (SUSE), read for the headers of packages in them.

Only as much of the forms is known here as listing needs. What makes no sense is left out, never followed in circles.
Sources: Berkeley DB 5.3, dbinc/db_page.h (pages of hash databases); rpm, lib/backend/ndb/rpmpkg.c (slots and blobs).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HASH_MAGIC = 0x061561
_PAGE_HEAD = 26
_HASH_PAGES = (2, 13)  # as they come, and sorted
_OVERFLOW_PAGE = 7
_KEY_OR_DATA, _OFF_PAGE = 1, 3
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))

_NDB_PAGE = 4096
_NDB_HEAD = 32
_SLOT = struct.Struct("<4sIII")  # magic, number, offset in blocks, count of blocks
_BLOB = struct.Struct("<4sIII")  # magic, number, generation, bytes
_NDB_BLOCK = 16


def berkeley_headers(data: bytes) -> Iterator[bytes]:
    """The values of a Berkeley DB hash that are headers of packages."""
    if len(data) < 512:
        return
    order = next((o for o in "<>" if struct.unpack_from(f"{o}I", data, 12)[0] == _HASH_MAGIC), None)
    if order is None:
        return
    (size,) = struct.unpack_from(f"{order}I", data, 20)
    if size not in _PAGE_SIZES:
        return
    for start in range(size, len(data) - size + 1, size):
        if data[start + 25] in _HASH_PAGES:
            yield from _values(data, start, size, order)


def _values(data: bytes, start: int, size: int, order: str) -> Iterator[bytes]:
    """The values of one page, where keys and values take turns and items lie from its end towards its head."""
    (count,) = struct.unpack_from(f"{order}H", data, start + 20)
    if _PAGE_HEAD + 2 * count > size:
        return
    offsets = struct.unpack_from(f"{order}{count}H", data, start + _PAGE_HEAD)
    for number in range(1, count, 2):
        at, end = offsets[number], offsets[number - 1]
        if not _PAGE_HEAD <= at < end <= size:
            continue
        item = data[start + at : start + end]
        if item[0] == _KEY_OR_DATA:
            yield item[1:]
        elif item[0] == _OFF_PAGE and len(item) >= 12:
            page, length = struct.unpack_from(f"{order}II", item, 4)
            yield _overflow(data, page, length, size, order)


def _overflow(data: bytes, page: int, length: int, size: int, order: str) -> bytes:
    """A value that is spread over a chain of pages; what there is of it."""
    parts: list[bytes] = []
    missing, steps = length, len(data) // size
    while page and missing > 0 and steps:
        steps -= 1
        start = page * size
        if start + size > len(data) or data[start + 25] != _OVERFLOW_PAGE:
            break
        (used,) = struct.unpack_from(f"{order}H", data, start + 22)
        part = data[start + _PAGE_HEAD : start + _PAGE_HEAD + min(used, size - _PAGE_HEAD, missing)]
        parts.append(part)
        missing -= len(part)
        (page,) = struct.unpack_from(f"{order}I", data, start + 16)
    return b"".join(parts)


def ndb_headers(data: bytes) -> Iterator[bytes]:
    """The blobs of an ndb database."""
    if len(data) < _NDB_PAGE or data[:4] != b"RpmP":
        return
    (pages,) = struct.unpack_from("<I", data, 12)
    for at in range(_NDB_HEAD, min(pages * _NDB_PAGE, len(data)) - _SLOT.size + 1, _SLOT.size):
        magic, number, offset, _ = _SLOT.unpack_from(data, at)
        start = offset * _NDB_BLOCK
        if magic != b"Slot" or not offset or start + _BLOB.size > len(data):
            continue
        mark, said, _, length = _BLOB.unpack_from(data, start)
        start += _BLOB.size
        if mark == b"BlbS" and said == number and start + length <= len(data):
            yield data[start : start + length]

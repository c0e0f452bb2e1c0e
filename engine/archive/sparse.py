"""Maps of sparse members: which ranges of a file an archive holds; all between them are holes.

Four forms are read: GNU's own header (`S`), and the PAX forms 0.0, 0.1 and 1.0.
Source: the GNU tar manual, "Storing Sparse Files".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.archive.errors import ArchiveError

SparseMap = tuple[tuple[int, int], ...]
"""Ranges with data, as (offset, length) in bytes, in order."""

MAX_SPARSE_SIZE = 1 << 40
"""The largest file that holes may pretend, in bytes: a few header bytes must not cost days of reading zeros."""
_MAX_RANGES = 1 << 20


def checked(ranges: list[tuple[int, int]], size: int, name: str) -> SparseMap:
    """The map, once it is sure to be in order, without overlaps and inside the file."""
    end = 0
    for offset, length in ranges:
        if offset < end or length < 0 or offset + length > size:
            raise ArchiveError(f"broken archive: the sparse map of {name!r} makes no sense")
        end = offset + length
    if size > MAX_SPARSE_SIZE:
        raise ArchiveError(f"{name!r} claims {size} bytes, mostly holes: more than the {MAX_SPARSE_SIZE} allowed")
    return tuple(ranges)


def gnu_map(header: bytes, more: Callable[[], bytes], number: Callable[[bytes], int]) -> list[tuple[int, int]]:
    """The map of a GNU `S` header; `more` gives the blocks that continue it."""
    ranges, block, at, count, extended = [], header, 386, 4, 482
    while True:
        for start in range(at, at + 24 * count, 24):
            if block[start] == 0:
                break
            ranges.append((number(block[start : start + 12]), number(block[start + 12 : start + 24])))
        if not block[extended] or len(ranges) > _MAX_RANGES:
            return ranges
        block, at, count, extended = more(), 0, 21, 504


def pax_map(records: Mapping[str, bytes]) -> list[tuple[int, int]]:
    """The map of PAX forms 0.0 and 0.1, whose numbers the reader has joined with commas."""
    numbers = [int(n) for n in records["GNU.sparse.map"].split(b",")] if records["GNU.sparse.map"] else []
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def leading_map(more: Callable[[], bytes]) -> tuple[list[tuple[int, int]], int]:
    """The map of PAX form 1.0, which precedes the data; also how many bytes it took."""
    text, taken, wanted = b"", 0, 1
    while True:
        text += more()
        taken += 512
        lines = text.split(b"\n")
        if len(lines) > 1:
            wanted = 1 + 2 * int(lines[0])
            if not 0 < wanted <= 2 * _MAX_RANGES:
                raise ValueError("too many ranges")
        if len(lines) > wanted:
            numbers = [int(n) for n in lines[1:wanted]]
            return list(zip(numbers[::2], numbers[1::2], strict=True)), taken
        if taken > 64 * _MAX_RANGES:
            raise ValueError("map too long")

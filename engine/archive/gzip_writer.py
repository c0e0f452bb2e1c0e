"""gzip, compressed in blocks by several threads, as one ordinary member.

Each block is deflated on its own, primed with the 32 KiB before it, and ends on a byte boundary (the scheme of pigz),
so the blocks' bytes put in a row are one deflate stream. Block boundaries depend on the data alone: the number of
threads never shows in the result. Levels up to 6 are ISA-L's, above that zlib's, which is slower and denser.
Source: RFC 1951 and 1952; the zlib manual on `deflateSetDictionary` and `Z_SYNC_FLUSH`.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

BLOCK = 1 << 20
_WINDOW = 1 << 15
_ISAL_LEVELS = {0: 0, 1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3}
_DEFAULT_LEVEL = 2
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no operating system


class _Sink(Protocol):
    def write(self, data: bytes | memoryview, /) -> Any: ...


class GzipWriter:
    """Compresses what is written into `sink`. Raises what the sink raises."""

    def __init__(self, sink: _Sink, level: int | None = None) -> None:
        from isal import isal_zlib

        self._crc32 = isal_zlib.crc32
        self._sink = sink
        self._level = _DEFAULT_LEVEL if level is None else level
        self._buffer = bytearray()
        self._window = b""
        self._crc = 0
        self._size = 0
        self._pending: deque[Future[bytes]] = deque()
        self._limit = 2 * _workers() + 1
        sink.write(_HEADER)

    def write(self, data: bytes | memoryview, /) -> int:
        """Compresses some bytes, and passes on what is ready."""
        view = memoryview(data)
        self._crc = self._crc32(view, self._crc)
        self._size += len(view)
        while view:
            if not self._buffer and len(view) > BLOCK:
                self._submit(bytes(view[:BLOCK]), last=False)
                view = view[BLOCK:]
                continue
            room = BLOCK - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            if len(self._buffer) == BLOCK and view:
                self._flush_buffer(last=False)
        return len(data)

    def close(self) -> None:
        """Ends the stream; the sink stays open."""
        self._flush_buffer(last=True)
        while self._pending:
            self._sink.write(self._pending.popleft().result())
        self._sink.write(struct.pack("<LL", self._crc, self._size & 0xFFFFFFFF))

    def _flush_buffer(self, *, last: bool) -> None:
        block, self._buffer = bytes(self._buffer), bytearray()
        self._submit(block, last=last)

    def _submit(self, block: bytes, *, last: bool) -> None:
        self._pending.append(_pool().submit(_deflate, block, self._window, self._level, last))
        self._window = block[-_WINDOW:]
        while self._pending and (len(self._pending) > self._limit or self._pending[0].done()):
            self._sink.write(self._pending.popleft().result())


def _deflate(block: bytes, window: bytes, level: int, last: bool) -> bytes:
    library: Any
    if level in _ISAL_LEVELS:
        from isal import isal_zlib

        library, level = isal_zlib, _ISAL_LEVELS[level]
    else:
        import zlib

        library = zlib
    primed = {"zdict": window} if window else {}
    deflate = library.compressobj(level, library.DEFLATED, -15, **primed)
    compressed: bytes = deflate.compress(block)
    end: bytes = deflate.flush(library.Z_FINISH if last else library.Z_SYNC_FLUSH)
    return compressed + end


_shared: ThreadPoolExecutor | None = None
_making = threading.Lock()


def _pool() -> ThreadPoolExecutor:
    """The threads that all writers of this process share; their jobs wait for nothing."""
    global _shared
    with _making:
        if _shared is None:
            _shared = ThreadPoolExecutor(_workers(), thread_name_prefix="gzip")
        return _shared


def _workers() -> int:
    return os.cpu_count() or 1

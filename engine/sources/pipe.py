"""A stream from one thread to another, which may fall some pieces behind."""

from __future__ import annotations

from queue import SimpleQueue

AHEAD = 4
"""Pieces that may wait for the reader."""


class Pipe:
    """One thread writes pieces and ends the stream, another reads them. Either may leave before the other is done."""

    def __init__(self) -> None:
        self._pieces: SimpleQueue[bytes | Exception] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        self._left = False
        self._last: bytes | Exception | None = None
        for _ in range(AHEAD):
            self._room.put(None)

    def write(self, piece: bytes) -> bool:
        """Hands on a piece, which is not empty, when there is room; False if the reader has left."""
        self._room.get()
        if not self._left:
            self._pieces.put(piece)
        return not self._left

    def end(self, error: Exception | None = None) -> None:
        """No more pieces come: the stream ends here, or is cut off by an error, which the reader gets."""
        self._pieces.put(b"" if error is None else error)

    def read(self, size: int = -1, /) -> bytes:
        """The next piece, however big; `b""` at the end. Raises the error that the writer ended with."""
        piece = self._pieces.get() if self._last is None else self._last
        self._room.put(None)
        if isinstance(piece, Exception) or not piece:
            self._last = piece
        if isinstance(piece, Exception):
            raise piece
        return piece

    def leave(self) -> None:
        """The reader reads no more: the writer need not wait for it."""
        self._left = True
        self._room.put(None)

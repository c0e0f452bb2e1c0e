"""Keeping secret values out of logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MASK = b"***"
_SHORTEST = 4
"""Bytes; to mask shorter values would garble logs and hide nothing."""
_SHORTEST_LINE = 8
"""Bytes; the same for the lines of a value, such as a private key that is printed line by line."""


class Mask:
    """Replaces secret values in a stream that comes in pieces, also where a value is cut in two.

    Where values overlap, as `abcd` and `cdef` do in `abcdef`, they are one to it: nothing of either is shown. How
    the stream is cut makes no difference.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        values = set[bytes]()
        for secret in secrets:
            values |= {value for value in (secret, secret.strip()) if len(value) >= _SHORTEST}
            values |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
        # The longest first: one value may be the beginning of another.
        self._values = sorted(values, key=lambda value: (-len(value), value))
        either = b"|".join(map(re.escape, self._values))
        self._any = re.compile(either) if values else None
        self._at_each_place = re.compile(b"(?=(" + either + b"))")
        self._rest = b""
        self._covered = 0
        """How many bytes of the rest belong to a value that has been replaced already."""

    def feed(self, data: bytes) -> bytes:
        """What can be shown now; a tail that may be the beginning of a secret is kept back."""
        if self._any is None:
            return data
        text = self._rest + data
        return self._shown(text, len(text) - self._beginning(text))

    def finish(self) -> bytes:
        """What was kept back: the stream has ended, so it is no beginning of a secret."""
        return self._shown(self._rest, len(self._rest))

    def _shown(self, text: bytes, end: int) -> bytes:
        """What is shown of a text up to an end; the rest is kept."""
        shown, at = bytearray(), self._covered
        for first, last in self._found(text):
            if first >= end:
                break
            if first >= at:
                shown += text[at:first] + MASK
            at = max(at, last)
        shown += text[at:end]
        self._rest, self._covered = text[end:], max(at - end, 0)
        return bytes(shown)

    def _found(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where the values are, each with its end: the longest one at each place."""
        if self._any is not None and self._any.search(text):
            for match in self._at_each_place.finditer(text):
                yield match.span(1)

    def _beginning(self, text: bytes) -> int:
        longest = len(self._values[0]) - 1
        for size in range(min(longest, len(text)), 0, -1):
            tail = text[-size:]
            if any(value.startswith(tail) for value in self._values):
                return size
        return 0

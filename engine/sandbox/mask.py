"""Keeping secret values out of logs."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = b"***"
_SHORTEST = 4
"""Bytes; to mask shorter values would garble logs and hide nothing."""
_SHORTEST_LINE = 8
"""Bytes; the same for the lines of a value, such as a private key that is printed line by line."""


class Mask:
    """Replaces secret values in a stream that comes in pieces, also where a value is cut in two."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        values = set[bytes]()
        for secret in secrets:
            values |= {value for value in (secret, secret.strip()) if len(value) >= _SHORTEST}
            values |= {line.strip() for line in secret.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
        # The longest first: one value may be the beginning of another.
        self._values = sorted(values, key=lambda value: (-len(value), value))
        self._pattern = re.compile(b"|".join(map(re.escape, self._values))) if values else None
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown now; a tail that may be the beginning of a secret is kept back."""
        if self._pattern is None:
            return data
        text = self._pattern.sub(MASK, self._rest + data)
        keep = self._beginning(text)
        self._rest = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> bytes:
        """What was kept back: the stream has ended, so it is no secret."""
        rest, self._rest = self._rest, b""
        return rest

    def _beginning(self, text: bytes) -> int:
        longest = len(self._values[0]) - 1
        for size in range(min(longest, len(text)), 0, -1):
            tail = text[-size:]
            if any(value.startswith(tail) for value in self._values):
                return size
        return 0

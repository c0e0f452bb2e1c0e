"""What the names of sources meant when that was written down, and what they mean in this run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from engine.errors import SourceError


class PinKind(Enum):
    """A kind of source whose name may mean something else tomorrow."""

    IMAGE = "images"
    GIT = "git"
    URL = "urls"


class Pins:
    """Known meanings by kind and name: an image's digest, a ref's commit, a file's checksum. `seen` collects all used.

    With `strict`, what is not known is refused: the build is to be made of exactly these sources.
    """

    def __init__(self, known: Mapping[tuple[PinKind, str], str] | None = None, *, strict: bool = False) -> None:
        self._known = dict(known or {})
        self._strict = strict
        self.seen: dict[tuple[PinKind, str], str] = {}

    def find(self, kind: PinKind, name: str) -> str | None:
        """What a name meant, None if that is not known.

        Raises:
            SourceError: if it is not known, and must be.
        """
        found = self._known.get((kind, name))
        if found is None and self._strict:
            raise SourceError(f"{name} is not in the lock", hint="run `bakery lock` to write down what it means now")
        return found

    def note(self, kind: PinKind, name: str, pin: str) -> None:
        """Remembers what a name means in this run."""
        self.seen[kind, name] = pin

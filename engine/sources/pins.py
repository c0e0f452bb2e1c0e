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
            hint = "run `bakery lock` to write down what it means now"
            raise SourceError(f"{name} is not in the lock{self._nearest(kind, name)}", hint=hint)
        return found

    def _nearest(self, kind: PinKind, name: str) -> str:
        """What the name may have been when the lock was written: a tag or a version later, it is much the same."""
        from difflib import get_close_matches

        near = get_close_matches(name, [known for of, known in self._known if of is kind], n=1, cutoff=0.7)
        return f"; the nearest there is {near[0]}" if near else ""

    def note(self, kind: PinKind, name: str, pin: str) -> None:
        """Remembers what a name means in this run."""
        self.seen[kind, name] = pin


def moved(name: str, pin: str, now: str) -> SourceError:
    """The error about a name that means something else now, where what it meant cannot be had any more."""
    return SourceError(
        f"{name} is {now} now, but {pin} in the lock",
        hint="look at what changed, then run `bakery lock --update` to take it over",
    )

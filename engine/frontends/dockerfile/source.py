"""The text of a Dockerfile and places in it.

Lines count from 1. As the peer does, what stands on several lines has one range for each of them.
"""

from __future__ import annotations

from functools import lru_cache

from engine.errors import DefinitionError
from engine.frontends.dockerfile.hints import hint_for
from engine.llb.definition import Place
from engine.llb.ops import Position, Range, SourceInfo

LANGUAGE = "Dockerfile"


class DockerfileError(Exception):
    """What is wrong with a Dockerfile, with the lines it is about; `locate` makes a DefinitionError of it.

    `lines` holds (first, last) pairs: an error can be about several places. A pair of zeros is no place at all.
    """

    def __init__(self, message: str, *lines: tuple[int, int]) -> None:
        super().__init__(message)
        self.message = message
        self.lines = lines

    def at(self, first: int, last: int) -> DockerfileError:
        """The same error, about one more place."""
        return DockerfileError(self.message, *self.lines, (first, last))


@lru_cache(maxsize=4096)
def _range(line: int) -> Range:
    position = Position(line)
    return Range(position, position)


def ranges(first: int, last: int) -> tuple[Range, ...]:
    """One range for each line."""
    return tuple(_range(line) for line in range(first, max(first, last) + 1))


class Source:
    """A Dockerfile's name and bytes."""

    __slots__ = ("info",)

    def __init__(self, filename: str, data: bytes) -> None:
        self.info = SourceInfo(filename, data, LANGUAGE)

    @property
    def data(self) -> bytes:
        """The bytes as they were read."""
        return self.info.data

    def place(self, first: int, last: int) -> Place:
        """Some of its lines."""
        return Place(self.info, ranges(first, last))

    def locate(self, error: DockerfileError) -> DefinitionError:
        """The error for a user, with its places."""
        places = tuple(self.place(first, last) for first, last in error.lines if first > 0)
        return DefinitionError(error.message, places=places, hint=hint_for(error.message))

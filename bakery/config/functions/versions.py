"""Semantic versions and constraints on them, as the peer's library (Masterminds/semver 3) understands them.

A constraint is alternatives (`||`) of comparisons that must all hold (separated by commas or spaces), such as `>=1.2`,
`~1.2`, `^1.2`, `1.x`, `1.2 - 1.4`. A pre-release only satisfies alternatives that name a pre-release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from bakery.config.functions.function import Function, FunctionError, Parameter, definer
from bakery.config.types import STRING
from bakery.config.values import Value, boolean
from bakery.values import frozen

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_TAIL: Final = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(rf"v?(\d{{1,18}})(?:\.(\d{{1,18}}))?(?:\.(\d{{1,18}}))?{_TAIL}\Z", re.ASCII)
_PATTERN: Final = rf"v?(\d{{1,18}}|[xX*])(?:\.(\d{{1,18}}|[xX*]))?(?:\.(\d{{1,18}}|[xX*]))?{_TAIL}"
_COMPARISON = re.compile(rf"\s*(=>|>=|=<|<=|!=|~>|=|>|<|~|\^|)\s*{_PATTERN}\s*,?(?=\s|,|\Z|(?<=[\s,]))", re.ASCII)
_RANGE = re.compile(rf"\s*({_PATTERN})\s+-\s+({_PATTERN})\s*", re.ASCII)

MAX_LENGTH: Final = 1000


@frozen
class Version:
    """Major, minor, patch and pre-release; build metadata does not count."""

    numbers: tuple[int, int, int]
    pre: str = ""

    def key(self) -> Any:
        """What versions are ordered by: a pre-release comes before its release, numbers before words."""
        if not self.pre:
            return (self.numbers, (1,))
        parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.pre.split(".")]
        return (self.numbers, (0, parts))


@frozen
class Comparison:
    """One comparison. `given` is how many of the three numbers were given; the others stand for anything."""

    operator: str
    version: Version
    given: int

    def holds(self, version: Version) -> bool:
        """Whether a version satisfies this, its being a pre-release aside."""
        mine, theirs = self.version.numbers[: self.given], version.numbers[: self.given]
        match self.operator:
            case "!=":
                if self.given == 3:
                    return bool(version.key() != self.version.key())
                return theirs != mine
            case ">":
                return bool(version.key() > self.version.key()) and (self.given in (0, 3) or theirs > mine)
            case "<":
                return bool(version.key() < self.version.key())
            case ">=" | "=>":
                return bool(version.key() >= self.version.key())
            case "<=" | "=<":
                return bool(version.key() <= self.version.key()) if self.given == 3 else theirs <= mine
            case "^":
                return self._at_least(version) and self._same(version, self._first_significant())
            case "~" | "~>":
                return self._at_least(version) and self._same(version, min(self.given, 2))
            case _:
                if self.given == 3:
                    return bool(version.key() == self.version.key())
                return self._at_least(version) and theirs == mine

    def _at_least(self, version: Version) -> bool:
        return bool(version.key() >= self.version.key())

    def _same(self, version: Version, count: int) -> bool:
        return version.numbers[:count] == self.version.numbers[:count]

    def _first_significant(self) -> int:
        """How many numbers a caret keeps: up to the first that is not zero, or all that were given."""
        for count in range(1, self.given + 1):
            if self.version.numbers[count - 1]:
                return count
        return self.given


def parse_version(text: str) -> Version:
    """A version, with parts missing from the right taken for 0. Raises FunctionError."""
    match = _VERSION.match(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise FunctionError("invalid semantic version")
    return Version((int(match[1]), int(match[2] or 0), int(match[3] or 0)), match[4] or "")


def parse_constraint(text: str) -> list[list[Comparison]]:
    """The alternatives of a constraint. Raises FunctionError."""
    if len(text) > MAX_LENGTH:
        raise FunctionError(f"improper constraint: more than {MAX_LENGTH} characters")
    rewritten = _RANGE.sub(lambda match: f">={match[1]} <={match[6]} ", text)
    return [_comparisons(alternative) for alternative in rewritten.split("||")]


def _comparisons(text: str) -> list[Comparison]:
    found, at = [], 0
    while match := _COMPARISON.match(text, at):
        parts = [match[2], match[3], match[4]]
        given = next((index for index, part in enumerate(parts) if part in (None, "x", "X", "*")), 3)
        numbers = [int(part) if index < given else 0 for index, part in enumerate(parts)]
        version = Version((numbers[0], numbers[1], numbers[2]), match[5] or "")
        found.append(Comparison(match[1], version, given))
        at = match.end()
    if not found or text[at:].strip():
        raise FunctionError(f"improper constraint: {text}")
    return found


@_define(Parameter("version", STRING), Parameter("contraint", STRING))
def semvercmp(args: Sequence[Value]) -> Value:
    """Whether a version satisfies a constraint."""
    version = parse_version(args[0].raw)
    for alternative in parse_constraint(args[1].raw):
        allowed = not version.pre or any(comparison.version.pre for comparison in alternative)
        if allowed and all(comparison.holds(version) for comparison in alternative):
            return boolean(True)
    return boolean(False)

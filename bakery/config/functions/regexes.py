"""Regular expressions in Go's syntax (RE2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer
from bakery.config.functions.re2 import Re2Error, translate
from bakery.config.types import STRING, ObjectType, TupleType, Type
from bakery.config.values import Value, check_weight, list_of, null, object_of, string, tuple_of
from bakery.config.work import charge

if TYPE_CHECKING:
    import regex as library

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_PATTERN = Parameter("pattern", STRING)
_STRING = Parameter("string", STRING)

TIME_LIMIT: Final = 2.0
"""Seconds that one match may take: unlike RE2, the library backtracks, and some patterns never come to an end."""

WORK_PER_SECOND: Final = 200_000
"""Steps of an evaluation's allowance that a second of matching counts for."""

T = TypeVar("T")


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> library.Pattern[str]:
    """Raises Re2Error."""
    import regex

    try:
        return regex.compile(translate(pattern), flags=regex.VERSION0)
    except (regex.error, RecursionError, OverflowError) as problem:
        raise Re2Error(f"{problem} in {pattern}") from None


def _compile(pattern: str, argument: int) -> library.Pattern[str]:
    try:
        return _compiled(pattern)
    except Re2Error as problem:
        raise ArgumentError(argument, f"invalid regexp pattern: {problem}") from None


def _in_time(work: Callable[[], T]) -> T:
    start = time.monotonic()
    try:
        return work()
    except TimeoutError:
        raise FunctionError(f"the pattern took longer than {TIME_LIMIT:.0f} seconds") from None
    finally:
        charge(int((time.monotonic() - start) * WORK_PER_SECOND))


def _result_type(compiled: library.Pattern[str]) -> Type:
    """What one match gives: a string, a tuple of groups, or an object of named groups."""
    named, all_groups = len(compiled.groupindex), compiled.groups
    if all_groups == 0:
        return STRING
    if named == 0:
        return TupleType((STRING,) * all_groups)
    if named < all_groups:
        raise ArgumentError(0, "invalid regexp pattern: cannot mix both named and unnamed capture groups")
    return ObjectType(dict.fromkeys(sorted(compiled.groupindex), STRING))


def _result(match: library.Match[str], type: Type) -> Value:
    def group(key: Any) -> Value:
        text = match[key]
        return null(STRING) if text is None else string(text)

    if isinstance(type, TupleType):
        return tuple_of([group(index) for index in range(1, len(type.elements) + 1)])
    if isinstance(type, ObjectType):
        return object_of({name: group(name) for name in type.attributes})
    return string(match[0])


@_define(_PATTERN, _STRING)
def regex(args: Sequence[Value]) -> Value:
    """The first match: the text, or its groups."""
    compiled = _compile(args[0].raw, 0)
    type = _result_type(compiled)
    match = _in_time(lambda: compiled.search(args[1].raw, timeout=TIME_LIMIT))
    if match is None:
        raise FunctionError("pattern did not match any part of the given string")
    return _result(match, type)


@_define(_PATTERN, _STRING)
def regexall(args: Sequence[Value]) -> Value:
    """All matches that do not overlap."""
    compiled = _compile(args[0].raw, 0)
    type = _result_type(compiled)
    found = _in_time(lambda: list(_matches(compiled, args[1].raw)))
    return list_of(type, [_result(match, type) for match in found])


def _matches(compiled: library.Pattern[str], text: str) -> Sequence[library.Match[str]]:
    """Matches as Go finds them: an empty one right after another match does not count."""
    found = []
    last_end = -1
    for match in compiled.finditer(text, timeout=TIME_LIMIT):
        if match.start() != match.end() or match.start() != last_end:
            found.append(match)
            last_end = match.end()
        check_weight(len(found) * (1 + compiled.groups))
    return found


@_define(Parameter("str", STRING), _PATTERN, Parameter("replace", STRING))
def regex_replace(args: Sequence[Value]) -> Value:
    """Every match replaced; `$1`, `${1}` and `${name}` stand for groups, `$$` for a dollar sign."""
    text: str = args[0].raw
    compiled = _compile(args[1].raw, 1)
    template = _template(args[2].raw)
    pieces: list[str] = []
    at = size = 0
    for match in _in_time(lambda: _matches(compiled, text)):
        pieces.append(text[at : match.start()])
        pieces.append("".join(_expanded(match, part) for part in template))
        at = match.end()
        size += len(pieces[-1]) + len(pieces[-2])
        check_weight(size >> 6)
    pieces.append(text[at:])
    return string("".join(pieces))


def _template(replacement: str) -> list[str | tuple[str]]:
    """Literal texts and the names of groups (in tuples) that a replacement consists of."""
    import re

    parts: list[str | tuple[str]] = []
    for match in re.finditer(r"\$\$|\$(\w+)|\$\{(\w+)\}|\$|[^$]+", replacement):
        name = match[1] or match[2]
        parts.append((name,) if name else "$" if match[0] == "$$" else match[0])
    return parts


def _expanded(match: library.Match[str], part: str | tuple[str]) -> str:
    if isinstance(part, str):
        return part
    name = part[0]
    if name.isdecimal() and name.isascii():
        return (match[int(name)] or "") if int(name) <= match.re.groups else ""
    return (match[name] or "") if name in match.re.groupindex else ""

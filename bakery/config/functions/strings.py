"""Text: case, trimming, cutting and joining. Characters are grapheme clusters where positions count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer, whole
from bakery.config.graphemes import WHITE_SPACE, grapheme_length, graphemes
from bakery.config.types import NUMBER, STRING, ListType
from bakery.config.values import Value, check_weight, list_of, number, string

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_STR = Parameter("str", STRING)


def _one(changed: str, character: str) -> str:
    return changed if len(changed) == 1 else character


def simple_upper(text: str) -> str:
    """Upper case character by character, as Go does it: what would become several characters stays."""
    if text.isascii():
        return text.upper()
    return "".join(_one(character.upper(), character) for character in text)


def simple_title(character: str) -> str:
    """Title case of a character; what would become several stays."""
    return _one(character.title(), character)


def simple_lower(text: str) -> str:
    """Lower case character by character, as Go does it."""
    if text.isascii():
        return text.lower()
    return "".join(_one(character.lower(), character) for character in text)


@_define(_STR)
def upper(args: Sequence[Value]) -> Value:
    """Upper case."""
    return string(simple_upper(args[0].raw))


@_define(_STR)
def lower(args: Sequence[Value]) -> Value:
    """Lower case."""
    return string(simple_lower(args[0].raw))


@_define(_STR)
def title(args: Sequence[Value]) -> Value:
    """Upper case for each letter that begins a word. Any character beyond ASCII that is no space goes on with it."""
    made = []
    inside = False
    for character in args[0].raw:
        made.append(character if inside else simple_title(character))
        inside = character.isalnum() or character == "_" or not (character.isascii() or character.isspace())
    return string("".join(made))


@_define(_STR)
def chomp(args: Sequence[Value]) -> Value:
    """Without newlines at the end."""
    return string(args[0].raw.rstrip("\r\n"))


@_define(Parameter("spaces", NUMBER), _STR)
def indent(args: Sequence[Value]) -> Value:
    """Spaces after each newline: all lines but the first are indented."""
    spaces, text = whole(args, 0), args[1].raw
    if spaces < 0:
        raise ArgumentError(0, "the number of spaces must not be negative")
    check_weight((text.count("\n") * spaces + len(text)) >> 6)
    return string(text.replace("\n", "\n" + " " * spaces))


@_define(Parameter("separator", STRING), variadic=Parameter("lists", ListType(STRING)))
def join(args: Sequence[Value]) -> Value:
    """All elements of all lists, with a separator between."""
    if len(args) < 2:
        raise FunctionError("at least one list is required")
    texts: list[str] = []
    for number_of_list, members in enumerate(args[1:], 1):
        for position, member in enumerate(members.raw):
            if member.is_null:
                which = f"{position} of list {number_of_list}" if len(args) > 2 else f"{position}"
                raise ArgumentError(number_of_list, f"element {which} is null; cannot concatenate null values")
            texts.append(member.raw)
    separator: str = args[0].raw
    check_weight((sum(map(len, texts)) + len(separator) * len(texts)) >> 6)
    return string(separator.join(texts))


@_define(_STR, Parameter("substr", STRING), Parameter("replace", STRING))
def replace(args: Sequence[Value]) -> Value:
    """Every occurrence of a text replaced; the empty text occurs around every character."""
    text, old, new = (arg.raw for arg in args)
    check_weight((len(text) + text.count(old) * len(new)) >> 6)
    return string(text.replace(old, new))


@_define(_STR)
def reverse(args: Sequence[Value]) -> Value:
    """The characters from last to first."""
    return string("".join(reversed(graphemes(args[0].raw))))


@_define(Parameter("name", STRING))
def sanitize(args: Sequence[Value]) -> Value:
    """`_` for every character that a target name cannot have."""
    return string(re.sub("[^a-zA-Z0-9_-]", "_", args[0].raw))


@_define(Parameter("separator", STRING), _STR)
def split(args: Sequence[Value]) -> Value:
    """The texts between separators; with an empty separator, the code points."""
    separator, text = args[0].raw, args[1].raw
    return list_of(STRING, map(string, text.split(separator) if separator else text))


@_define(_STR)
def strlen(args: Sequence[Value]) -> Value:
    """The number of characters."""
    return number(grapheme_length(args[0].raw))


@_define(_STR, Parameter("offset", NUMBER), Parameter("length", NUMBER))
def substr(args: Sequence[Value]) -> Value:
    """Characters from an offset (from the end, if negative), at most as many as the length says (-1: all)."""
    characters = graphemes(args[0].raw)
    offset, length = whole(args, 1), whole(args, 2)
    if offset < 0:
        # an offset before the beginning means the beginning; a length of 0 then means all, as in the peer
        offset = max(offset + len(characters), 0)
        length = length or -1
    end = len(characters) if length < 0 else offset + length
    return string("".join(characters[offset:end]))


@_define(_STR, Parameter("cutset", STRING))
def trim(args: Sequence[Value]) -> Value:
    """Without any of some characters at both ends."""
    return string(args[0].raw.strip(args[1].raw) if args[1].raw else args[0].raw)


@_define(_STR, Parameter("prefix", STRING))
def trimprefix(args: Sequence[Value]) -> Value:
    """Without a prefix, if it has it."""
    return string(args[0].raw.removeprefix(args[1].raw))


@_define(_STR, Parameter("suffix", STRING))
def trimsuffix(args: Sequence[Value]) -> Value:
    """Without a suffix, if it has it."""
    return string(args[0].raw.removesuffix(args[1].raw))


@_define(_STR)
def trimspace(args: Sequence[Value]) -> Value:
    """Without white space at both ends."""
    return string(args[0].raw.strip(WHITE_SPACE))

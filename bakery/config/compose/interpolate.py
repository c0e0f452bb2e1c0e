"""Compose's `${NAME}` forms in texts: defaults, alternatives, required values, `$$` for a dollar."""

from __future__ import annotations

import re
from collections.abc import Callable

Lookup = Callable[[str], str | None]

MAX_LENGTH = 1 << 20
"""Characters of one interpolated text."""


class MalformedError(ValueError):
    """A reference that is not of Compose's form."""


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")


def substitute(text: str, lookup: Lookup, depth: int = 0) -> str:
    """The text with every reference replaced. Raises ValueError for a malformed one or a missing required value."""
    if "$" not in text:
        return text
    parts: list[str] = []
    at = 0
    while True:
        dollar = text.find("$", at)
        if dollar < 0:
            parts.append(text[at:])
            break
        parts.append(text[at:dollar])
        part, at = _reference(text, dollar, lookup, depth)
        parts.append(part)
    result = "".join(parts)
    if len(result) > MAX_LENGTH:
        raise ValueError(f"the interpolated text is longer than {MAX_LENGTH} characters")
    return result


def _reference(text: str, dollar: int, lookup: Lookup, depth: int) -> tuple[str, int]:
    following = text[dollar + 1 : dollar + 2]
    if following == "$":
        return "$", dollar + 2
    if following == "{":
        if depth > 20:
            raise ValueError("references are nested more than 20 levels deep")
        end = _closing(text, dollar)
        return _braced(text[dollar + 2 : end], lookup, depth), end + 1
    name = _NAME.match(text, dollar + 1)
    if name is None:
        # A dollar before anything else stands for itself: `$(command)`, a price.
        return "$", dollar + 1
    return lookup(name[0]) or "", name.end()


def _closing(text: str, dollar: int) -> int:
    depth = 0
    at = dollar
    while at < len(text):
        if text.startswith("$$", at):
            at += 2
            continue
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise MalformedError(f'"{text}": a }} is missing')


def _braced(inner: str, lookup: Lookup, depth: int) -> str:
    name = _NAME.match(inner)
    if name is None:
        raise MalformedError(f'"${{{inner}}}": a name or NAME:-default is required')
    value = lookup(name[0])
    rest = inner[name.end() :]
    if not rest:
        return value or ""
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise MalformedError(f'"${{{inner}}}": a name or NAME:-default is required')
    word = rest[operator.end() :]
    present = value is not None and (value != "" or not operator[0].startswith(":"))
    match operator[0][-1]:
        case "-":
            return (value or "") if present else substitute(word, lookup, depth + 1)
        case "+":
            return substitute(word, lookup, depth + 1) if present else ""
        case _:
            if not present:
                message = substitute(word, lookup, depth + 1)
                raise ValueError(
                    f"required variable {name[0]} is missing a value" + (f": {message}" if message else "")
                )
            return value or ""

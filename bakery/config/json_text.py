"""Values as JSON text and back, as the peer writes and reads them."""

from __future__ import annotations

import json
from typing import Any, Final

from bakery.config import number as numbers
from bakery.config.types import NUMBER
from bakery.config.values import (
    NULL,
    Value,
    boolean,
    check_weight,
    number,
    object_of,
    string,
    tuple_of,
)

_ESCAPES: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


class JsonTextError(ValueError):
    """A text that is not JSON; the message says what is wrong and where in the text."""


def to_json(value: Value) -> str:
    """Compact JSON of a wholly known value, with `<`, `>`, `&` and line separators escaped as Go does."""
    pieces: list[str] = []
    _write(value, pieces)
    return "".join(pieces)


def quoted(text: str) -> str:
    """A text as a JSON string."""
    plain = json.dumps(text, ensure_ascii=False)
    return plain.translate(_ESCAPES).replace("\\u007f", "\x7f")


def _write(value: Value, pieces: list[str]) -> None:
    raw = value.raw
    if raw is None:
        pieces.append("null")
    elif isinstance(raw, bool):
        pieces.append("true" if raw else "false")
    elif isinstance(raw, str):
        pieces.append(quoted(raw))
    elif value.type == NUMBER:
        pieces.append(numbers.to_text(raw))
    elif isinstance(raw, dict):
        separator = "{"
        for key, member in raw.items():
            pieces.append(f"{separator}{quoted(key)}:")
            _write(member, pieces)
            separator = ","
        pieces.append("}" if raw else "{}")
    else:
        separator = "["
        for member in raw:
            pieces.append(separator)
            _write(member, pieces)
            separator = ","
        pieces.append("]" if raw else "[]")


def from_json(text: str) -> Value:
    """The value of a JSON text: objects, tuples, exact numbers. Raises JsonTextError, NumberError or LimitError."""
    check_weight(len(text) >> 6)
    try:
        data = json.loads(
            text,
            parse_int=lambda digits: number(numbers.parse(digits)),
            parse_float=lambda digits: number(numbers.parse(digits)),
            parse_constant=_refuse,
        )
    except json.JSONDecodeError as problem:
        raise JsonTextError(f"invalid JSON at line {problem.lineno}, column {problem.colno}: {problem.msg}") from None
    except RecursionError:
        raise JsonTextError("invalid JSON: nested too deep") from None
    return _value(data)


def _refuse(constant: str) -> Value:
    raise JsonTextError(f"invalid JSON: {constant} is not a JSON value")


def _value(data: Any) -> Value:
    match data:
        case None:
            return NULL
        case Value():
            return data
        case bool():
            return boolean(data)
        case str():
            return string(data)
        case list():
            return tuple_of([_value(member) for member in data])
        case _:
            return object_of({key: _value(member) for key, member in data.items()})

"""Text of the environment or of `--var` to a variable's value, by the variable's type.

Raises ValueError with the peer's wording; the caller adds the place.
"""

from __future__ import annotations

from collections.abc import Callable

from bakery.config import number as numbers
from bakery.config.conversion import ConversionError, convert
from bakery.config.textforms import csv_fields, parse_bool
from bakery.config.types import ANY, BOOL, NUMBER, STRING, ListType, MapType, SetType, TupleType, Type, friendly_name
from bakery.config.values import Value, boolean, list_of, map_of, number, set_of, string, tuple_of


def parse_untyped(name: str, text: str, default: Value | None) -> Value:
    """An override of a variable without a declared type, which takes its type from the default."""
    if default is None or default.is_null or default.type == ANY:
        return string(text)
    if default.type not in _PRIMITIVES:
        raise ValueError(f"unsupported type {friendly_name(default.type)} for variable {name}")
    return _primitive(name, text, default.type)


def parse_typed(name: str, text: str, wanted: Type) -> Value:
    """An override of a variable with a declared type: plain text, or one line of CSV for a collection."""
    match wanted:
        case _ if wanted in _PRIMITIVES:
            return _primitive(name, text, wanted)
        case ListType(element) | SetType(element) if element in _PRIMITIVES:
            members = [_primitive(name, part, element) for part in _fields(name, text, wanted)]
            return list_of(element, members) if isinstance(wanted, ListType) else set_of(element, members)
        case TupleType(elements) if all(element in _PRIMITIVES for element in elements):
            return _tuple(name, _fields(name, text, wanted), elements)
        case MapType(element) if element in _PRIMITIVES:
            return map_of(element, dict(_pair(name, part, element) for part in _fields(name, text, wanted)))
    raise ValueError(f"unsupported type {friendly_name(wanted)} for variable {name}, set {name}_JSON instead")


def parse_json(name: str, text: str, wanted: Type) -> Value:
    """An override given as JSON in `NAME_JSON`. The wildcard type takes whatever the JSON says."""
    from bakery.config.functions import BUILTINS
    from bakery.config.functions.function import FunctionError

    decode = BUILTINS["jsondecode"]
    try:
        return convert(decode.call([string(text)]), wanted)
    except (ConversionError, FunctionError, numbers.NumberError) as error:
        raise ValueError(f"failed to convert variable {name} from JSON: {error}") from None


def _fields(name: str, text: str, wanted: Type) -> list[str]:
    try:
        return csv_fields(text)
    except ValueError as error:
        raise ValueError(f"failed to parse {name} as {friendly_name(wanted)}: {error}") from None


def _tuple(name: str, fields: list[str], elements: tuple[Type, ...]) -> Value:
    if len(fields) != len(elements):
        raise ValueError(f"failed to parse {name} as tuple: expected {len(elements)} elements, got {len(fields)}")
    return tuple_of(_primitive(name, part, element) for part, element in zip(fields, elements, strict=True))


def _pair(name: str, text: str, element: Type) -> tuple[str, Value]:
    key, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"failed to parse {name} as map: expected key:value, got {text}")
    return key.strip(), _primitive(name, value, element)


def _primitive(name: str, text: str, wanted: Type) -> Value:
    try:
        return _PRIMITIVES[wanted](text)
    except ValueError as error:
        raise ValueError(f"failed to parse {name} as {friendly_name(wanted)}: {error}") from None


def _bool(text: str) -> Value:
    return boolean(parse_bool(text))


def _number(text: str) -> Value:
    try:
        return number(numbers.parse(text))
    except numbers.NumberError:
        pass
    try:
        if "_" in text or text != text.strip():
            raise ValueError
        return number(float(text))
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None


_PRIMITIVES: dict[Type, Callable[[str], Value]] = {STRING: string, NUMBER: _number, BOOL: _bool}

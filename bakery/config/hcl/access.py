"""Attributes and elements of values: `value.name` and `value[key]`."""

from __future__ import annotations

from typing import Final

from bakery.config.conversion import ConversionError, convert
from bakery.config.types import (
    ANY,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    Primitive,
    SetType,
    TupleType,
    friendly_name,
)
from bakery.config.values import UNKNOWN_VALUE, Value, unknown


class AccessError(Exception):
    """There is no such attribute or element."""

    def __init__(self, summary: str, detail: str) -> None:
        super().__init__(summary, detail)
        self.summary = summary
        self.detail = detail


_NO_ELEMENT: Final = "The given key does not identify an element in this collection value"


def get_attribute(value: Value, name: str) -> Value:
    """`value.name`. Raises AccessError."""
    if value.is_null:
        raise AccessError(
            "Attempt to get attribute from null value", "This value is null, so it does not have any attributes."
        )
    match value.type:
        case ObjectType(attributes):
            if name not in attributes:
                raise AccessError("Unsupported attribute", f'This object does not have an attribute named "{name}".')
            found: Value = value.raw[name] if value.is_known else unknown(attributes[name])
            return found
        case MapType(element):
            if not value.is_known:
                return unknown(element)
            if name not in value.raw:
                detail = f'This map does not have an element with the key "{name}".'
                raise AccessError("Missing map element", detail)
            member: Value = value.raw[name]
            return member
        case Primitive("dynamic"):
            return UNKNOWN_VALUE
    raise AccessError("Unsupported attribute", _no_attributes(value, name))


def _no_attributes(value: Value, name: str) -> str:
    match value.type:
        case ListType(ObjectType(attributes)):
            which = f'attribute "{name}"' if name in attributes else "an attribute"
            return (
                f"Can't access attributes on a list of objects. Did you mean to access {which} for a specific element "
                "of the list, or across all elements of the list?"
            )
        case SetType(ObjectType()):
            return (
                "Can't access attributes on a set of objects. Did you mean to access an attribute across all elements "
                "of the set?"
            )
        case Primitive():
            return f"Can't access attributes on a primitive-typed value ({friendly_name(value.type)})."
        case _:
            return "This value does not have any attributes."


def get_index(value: Value, key: Value) -> Value:
    """`value[key]`. Raises AccessError."""
    if value.is_null:
        raise AccessError("Attempt to index null value", "This value is null, so it does not have any indices.")
    if key.is_null:
        raise AccessError("Invalid index", "Can't use a null value as an indexing key.")
    if ANY in (value.type, key.type):
        return UNKNOWN_VALUE
    match value.type:
        case ListType() | TupleType():
            return _element(value, _as_key(key, NUMBER))
        case MapType(element):
            key = _as_key(key, STRING)
            if not (value.is_known and key.is_known):
                return unknown(element)
            if key.raw not in value.raw:
                raise AccessError("Invalid index", f"{_NO_ELEMENT}.")
            member: Value = value.raw[key.raw]
            return member
        case ObjectType():
            return _attribute(value, key)
        case SetType():
            detail = (
                "Elements of a set are identified only by their value and don't have any separate index or key to "
                "select with, so it's only possible to perform operations across all elements of the set."
            )
            raise AccessError("Invalid index", detail)
        case _:
            raise AccessError("Invalid index", "This value does not have any indices.")


def _as_key(key: Value, wanted: Primitive) -> Value:
    try:
        return convert(key, wanted)
    except ConversionError as problem:
        raise AccessError("Invalid index", f"{_NO_ELEMENT}: {problem}.") from None


def _element(value: Value, key: Value) -> Value:
    """An element of a list or tuple."""
    if not (value.is_known and key.is_known):
        return unknown(value.type.element) if isinstance(value.type, ListType) else UNKNOWN_VALUE
    number = key.raw
    if not isinstance(number, int):
        reason = "indexing a sequence requires a whole number, but the given index has a fractional part"
    elif number < 0:
        reason = "a negative number is not a valid index for a sequence"
    elif not value.raw:
        reason = "the collection has no elements"
    elif number >= len(value.raw):
        reason = "the given index is greater than or equal to the length of the collection"
    else:
        member: Value = value.raw[number]
        return member
    raise AccessError("Invalid index", f"{_NO_ELEMENT}: {reason}.")


def _attribute(value: Value, key: Value) -> Value:
    """An attribute of an object, by a computed name."""
    was_number = key.type == NUMBER
    key = _as_key(key, STRING)
    if not key.is_known:
        return UNKNOWN_VALUE
    assert isinstance(value.type, ObjectType)
    if key.raw not in value.type.attributes:
        hint = " An object only supports looking up attributes by name, not by numeric index." if was_number else ""
        raise AccessError("Invalid index", f"{_NO_ELEMENT}.{hint}")
    return get_attribute(value, key.raw)

"""Conversions between types: what an assignment, a function argument or the arms of a conditional may become.

The rules are those of the peer's type system (go-cty `convert`). A conversion is safe if no value of the type can fail
it (number to string); others are tried with the value at hand (string to number).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bakery.config import number
from bakery.config.mismatch import mismatch
from bakery.config.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    Primitive,
    SetType,
    TupleType,
    Type,
    without_optional,
)
from bakery.config.unification import is_convertible, unify, unify_safely
from bakery.config.values import (
    UNKNOWN,
    Value,
    boolean,
    list_of,
    map_of,
    members_of,
    null,
    object_of,
    set_of,
    string,
    tuple_of,
)
from bakery.config.values import number as number_value

__all__ = ["ConversionError", "convert", "is_convertible", "unify", "unify_safely"]


class ConversionError(Exception):
    """A value that does not become the wanted type; the message is a friendly phrase such as `a number is required`."""


def convert(value: Value, wanted: Type) -> Value:
    """The value as the wanted type, null and unknown values included. Raises ConversionError."""
    given = value.type
    if given is wanted or wanted is ANY:
        return value
    if wanted is STRING and given is NUMBER and isinstance(value.raw, int):
        return string(number.to_text(value.raw))  # what most templates need
    if given == wanted:
        return value
    direct = _of_primitives(value, wanted)
    if direct is not None:
        return direct
    if not is_convertible(given, wanted):
        raise ConversionError(mismatch(given, wanted))
    return _converted(value, wanted)


def _of_primitives(value: Value, wanted: Type) -> Value | None:
    """A tuple or an object of primitives as list or map, as nearly every attribute wants it; None for anything else."""
    given, raw = value.type, value.raw
    if raw is None or raw is UNKNOWN:
        return None
    if isinstance(given, TupleType) and isinstance(wanted, ListType):
        types: Collection[Type] = given.elements
    elif isinstance(given, ObjectType) and isinstance(wanted, MapType):
        types = given.attributes.values()
    else:
        return None
    element = wanted.element
    if all(type is element for type in types):
        return Value(wanted, raw, value.weight)
    if element is not STRING or not all(type is STRING or type is NUMBER or type is BOOL for type in types):
        return None
    if isinstance(raw, tuple):
        return list_of(STRING, [_converted(member, STRING) for member in raw])
    return map_of(STRING, {name: _converted(member, STRING) for name, member in raw.items()})


def _converted(value: Value, wanted: Type) -> Value:
    """The value as a type that its own type is known to convert to."""
    if value.type is wanted or wanted is ANY or value.type == wanted:
        return value
    if value.is_null or not value.is_known:
        return Value(without_optional(_filled(value.type, wanted)), value.raw)
    match wanted:
        case Primitive():
            return _primitive(value, wanted)
        case ListType(element):
            members, common = _members(value, element)
            return list_of(common, members)
        case SetType(element):
            members, common = _members(value, element)
            return set_of(common, members)
        case MapType(element):
            members, common = _members(value, element)
            return map_of(common, dict(zip(value.raw, members, strict=True)))
        case TupleType(elements):
            return tuple_of(map(_converted, value.raw, elements))
        case ObjectType():
            return object_of(_attributes(value, wanted))


def _members(value: Value, element: Type) -> tuple[list[Value], Type]:
    """The members of a collection or structure as one element type, and that type."""
    members = members_of(value)
    if element == ANY:
        element = _element_type(value, members)
    converted = [_converted(member, element) for member in members]
    if converted and all(member.type is element for member in converted):
        return converted, element
    # constraints with wildcards or optional attributes may leave the members with types that differ in detail
    common = unify([member.type for member in converted]) if converted else without_optional(element)
    if common is None:
        raise ConversionError("cannot find a common base type for all elements")
    return [_converted(member, common) for member in converted], common


def _element_type(value: Value, members: Sequence[Value]) -> Type:
    if isinstance(value.type, ListType | SetType | MapType):
        return value.type.element
    return (unify([member.type for member in members]) if members else None) or ANY


def _attributes(value: Value, wanted: ObjectType) -> dict[str, Value]:
    attributes = {}
    for name, type in wanted.attributes.items():
        if name in value.raw:
            attributes[name] = convert(value.raw[name], type)
        elif name in wanted.optional:
            attributes[name] = null(without_optional(type))
        else:
            raise ConversionError(f'map has no element for required attribute "{name}"')
    return attributes


def _primitive(value: Value, wanted: Primitive) -> Value:
    raw = value.raw
    if wanted == STRING:
        if isinstance(raw, bool):
            return string("true" if raw else "false")
        return string(number.to_text(raw))
    if wanted == NUMBER:
        try:
            return number_value(number.parse(raw))
        except number.NumberError as problem:
            raise ConversionError(str(problem)) from None
    assert wanted == BOOL
    if raw in ("true", "1", "false", "0"):
        return boolean(raw in ("true", "1"))
    word = raw.lower()
    hint = f'; to convert from string, use lowercase "{word}"' if word in ("true", "false") else ""
    raise ConversionError(f"a bool is required{hint}")


def _filled(given: Type, wanted: Type) -> Type:
    """The wanted type with its wildcards replaced by what stands there in the given type."""
    match given, wanted:
        case _, Primitive("dynamic"):
            return given
        case ((ListType(inner) | SetType(inner)), ListType(outer)):
            return ListType(_filled(inner, outer))
        case ((ListType(inner) | SetType(inner)), SetType(outer)):
            return SetType(_filled(inner, outer))
        case MapType(inner), MapType(outer):
            return MapType(_filled(inner, outer))
        case _:
            return wanted

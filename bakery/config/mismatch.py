"""Why a type is not the wanted one, in the words of the peer."""

from __future__ import annotations

from collections.abc import Iterable

from bakery.config.types import (
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
    constraint_name,
    friendly_name,
)
from bakery.config.unification import is_convertible, is_safely_convertible


def mismatch(given: Type, wanted: Type) -> str:
    """A phrase such as `list of string required, but have string`."""
    match given, wanted:
        case ObjectType(), ObjectType():
            return _objects(given, wanted)
        case (TupleType(), ListType(Primitive("dynamic"))):
            return "all list elements must have the same type"
        case (TupleType(), SetType(Primitive("dynamic"))):
            return "all set elements must have the same type"
        case (ObjectType(), MapType(Primitive("dynamic"))):
            return "all map elements must have the same type"
        case TupleType(elements), (ListType(element) | SetType(element)):
            return _members(((f"{index}", type) for index, type in enumerate(elements)), element)
        case ObjectType(attributes), MapType(element):
            return _members(((f'"{name}"', type) for name, type in attributes.items()), element)
        case ((ListType(inner) | SetType(inner)), (ListType(outer) | SetType(outer))):
            noun = "list" if isinstance(wanted, ListType) else "set"
            return f"incorrect {noun} element type: {mismatch(inner, outer)}"
        case MapType(inner), MapType(outer):
            return f"incorrect map element type: {mismatch(inner, outer)}"
    if not _is_confusing(given, wanted):
        return f"{friendly_name(wanted)} required, but have {friendly_name(given)}"
    return f"{constraint_name(wanted)} required"


def _members(members: Iterable[tuple[str, Type]], wanted: Type) -> str:
    for name, type in members:
        if not is_convertible(type, wanted):
            return f"element {name}: {mismatch(type, wanted)}"
    return f"all elements must be {constraint_name(wanted)}"


def _objects(given: ObjectType, wanted: ObjectType) -> str:
    """Missing attributes first, else the first that does not fit."""
    missing = sorted(wanted.attributes.keys() - given.attributes.keys() - wanted.optional)
    if missing:
        quoted = [f'"{name}"' for name in missing]
        if len(quoted) == 1:
            return f"attribute {quoted[0]} is required"
        if len(quoted) == 2:
            return f"attributes {quoted[0]} and {quoted[1]} are required"
        return f"attributes {', '.join(quoted[:-1])}, and {quoted[-1]} are required"
    for fits in (is_convertible, is_safely_convertible):
        for name, type in sorted(wanted.attributes.items()):
            if name in given.attributes and not fits(given.attributes[name], type):
                return f'attribute "{name}": {mismatch(given.attributes[name], type)}'
    return "incorrect object attributes"


def _is_confusing(given: Type, wanted: Type) -> bool:
    """Whether naming both types would set readers on a wrong track: often the value is wrong, not its type."""
    if isinstance(given, Primitive) != isinstance(wanted, Primitive):
        return False
    if wanted == STRING or (given, wanted) in ((BOOL, NUMBER), (NUMBER, BOOL)):
        return False
    return not (isinstance(given, TupleType) and isinstance(wanted, ObjectType))

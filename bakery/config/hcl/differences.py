"""How the two arms of a conditional differ in type, said so that one can find the place."""

from __future__ import annotations

from bakery.config.types import ListType, MapType, ObjectType, SetType, TupleType, Type, friendly_name


def describe_difference(true: Type, false: Type) -> str:
    """A sentence without its full stop about two types that cannot be unified."""
    match true, false:
        case ObjectType(), ObjectType():
            found = _objects(true, false)
        case TupleType(), TupleType():
            found = _tuples(true, false)
        case (
            (ListType(inner), ListType(other)) | (SetType(inner), SetType(other)) | (MapType(inner), MapType(other))
        ) if isinstance(inner, ObjectType | TupleType) and type(inner) is type(other):
            noun = friendly_name(true).split()[0]
            return f"Mismatched {noun} element types: {describe_difference(inner, other)}"
        case _:
            found = None
    if found is not None:
        return found
    if friendly_name(true) == friendly_name(false):
        return (
            "At least one deeply-nested attribute or element is not compatible across both the 'true' and the 'false' "
            "value"
        )
    return f"The 'true' value is {friendly_name(true)}, but the 'false' value is {friendly_name(false)}"


def _objects(true: ObjectType, false: ObjectType) -> str | None:
    for name, type in sorted(true.attributes.items()):
        if name not in false.attributes:
            return f"The 'true' value includes object attribute \"{name}\", which is absent in the 'false' value"
        if type != false.attributes[name]:
            return f'Type mismatch for object attribute "{name}": {describe_difference(type, false.attributes[name])}'
    for name in sorted(false.attributes):
        if name not in true.attributes:
            return f"The 'false' value includes object attribute \"{name}\", which is absent in the 'true' value"
    return None


def _tuples(true: TupleType, false: TupleType) -> str | None:
    if len(true.elements) != len(false.elements):
        return (
            f"The 'true' tuple has length {len(true.elements)}, but the 'false' tuple has length {len(false.elements)}"
        )
    for position, (left, right) in enumerate(zip(true.elements, false.elements, strict=True)):
        if left != right:
            return f"Type mismatch for tuple element {position}: {describe_difference(left, right)}"
    return None

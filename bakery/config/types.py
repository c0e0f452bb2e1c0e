"""The types of the bake language: primitives, collections of one element type, and structures with a type per member.

The kinds and their friendly names are those of the peer's type system (cty), because error messages quote them.
`ANY` stands both for the `any` constraint and for the type of a value not known yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from bakery.values import frozen


@frozen
class Primitive:
    """`string`, `number`, `bool`, or the wildcard `dynamic`. There are these four, so that identity tells them apart:
    types are compared more often than anything else is done."""

    name: str

    __eq__ = object.__eq__
    __hash__ = object.__hash__


STRING = Primitive("string")
NUMBER = Primitive("number")
BOOL = Primitive("bool")
ANY = Primitive("dynamic")


@frozen
class ListType:
    """An ordered collection of one element type."""

    element: Type


@frozen
class SetType:
    """An unordered collection of one element type without equals; iterated in sorted order."""

    element: Type


@frozen
class MapType:
    """A collection of one element type under string keys; iterated by sorted key."""

    element: Type


@frozen
class TupleType:
    """A fixed number of members, each of its own type."""

    elements: tuple[Type, ...]


@frozen
class ObjectType:
    """Named members, each of its own type. `optional` names those a constraint does not insist on."""

    attributes: Mapping[str, Type]
    optional: frozenset[str] = field(default=frozenset())

    def __hash__(self) -> int:
        return hash(frozenset(self.attributes.items()))


Type = Primitive | ListType | SetType | MapType | TupleType | ObjectType


def friendly_name(type: Type) -> str:
    """How messages name a type: `list of string`, `tuple`, `object`, `dynamic`."""
    match type:
        case Primitive(name):
            return name
        case ListType(element):
            return f"list of {friendly_name(element)}"
        case SetType(element):
            return f"set of {friendly_name(element)}"
        case MapType(element):
            return f"map of {friendly_name(element)}"
        case TupleType():
            return "tuple"
        case ObjectType():
            return "object"


def constraint_name(type: Type) -> str:
    """How messages name a type that is wanted: as `friendly_name`, but `any type` for the wildcard."""
    match type:
        case Primitive("dynamic"):
            return "any type"
        case ListType(element):
            return f"list of {constraint_name(element)}"
        case SetType(element):
            return f"set of {constraint_name(element)}"
        case MapType(element):
            return f"map of {constraint_name(element)}"
        case _:
            return friendly_name(type)


def without_optional(type: Type) -> Type:
    """The type that values of a constraint have: the same, but nothing in it is optional."""
    match type:
        case Primitive():
            return type
        case ListType(element):
            return ListType(without_optional(element))
        case SetType(element):
            return SetType(without_optional(element))
        case MapType(element):
            return MapType(without_optional(element))
        case TupleType(elements):
            return TupleType(tuple(map(without_optional, elements)))
        case ObjectType(attributes):
            return ObjectType({name: without_optional(attribute) for name, attribute in attributes.items()})


def is_known_type(type: Type) -> bool:
    """Whether no part of the type is the wildcard."""
    match type:
        case Primitive():
            return type != ANY
        case ListType(element) | SetType(element) | MapType(element):
            return is_known_type(element)
        case TupleType(elements):
            return all(map(is_known_type, elements))
        case ObjectType(attributes):
            return all(map(is_known_type, attributes.values()))

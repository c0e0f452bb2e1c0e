"""The values of the bake language: what expressions evaluate to and functions take and give.

A `Value` pairs a type with a raw Python payload, because `null`, an unknown and an empty list still have types, and
because a list, a set and a tuple of equal members are different things. Values are immutable: never change a payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from bakery.config import number as numbers
from bakery.config.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
    friendly_name,
)
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.number import Number


MAX_WEIGHT: Final = 2_000_000
"""How large a value may become, counted in members at any depth and in pieces of 64 characters of text."""


class LimitError(Exception):
    """A value would become too large. The message is a sentence without its full stop."""


class _Unknown:
    """The payload of a value that stays unknown because an error prevented knowing it."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@frozen
class Value:
    """A value of the bake language.

    `raw` is None for null, `UNKNOWN`, or by type: str, bool, int or Fraction (number), tuple of values (list, tuple,
    and set: sorted and without equals), dict of values by name (map, object: in key order).
    """

    type: Type
    raw: Any
    weight: int = field(default=1, compare=False, repr=False)

    @property
    def is_null(self) -> bool:
        """Whether this is null."""
        return self.raw is None

    @property
    def is_known(self) -> bool:
        """Whether the value itself is known (its members may not be)."""
        return self.raw is not UNKNOWN

    def __repr__(self) -> str:
        return f"<{friendly_name(self.type)} {self.raw!r}>"


TRUE = Value(BOOL, True)
FALSE = Value(BOOL, False)
NULL = Value(ANY, None)
UNKNOWN_VALUE = Value(ANY, UNKNOWN)
EMPTY_TUPLE = Value(TupleType(()), ())
EMPTY_OBJECT = Value(ObjectType({}), {})


def string(text: str) -> Value:
    """A string."""
    return Value(STRING, text, 1 + (len(text) >> 6))


def check_weight(weight: int) -> int:
    """The weight, if a value may be that heavy; raises LimitError."""
    if weight > MAX_WEIGHT:
        raise LimitError(f"A value may have {MAX_WEIGHT} members or {MAX_WEIGHT * 64} characters; this would have more")
    return weight


def _weight(members: Iterable[Value]) -> int:
    return check_weight(1 + sum(member.weight for member in members))


def number(value: Number | float) -> Value:
    """A number. Raises NumberError for a float that is not finite."""
    return Value(NUMBER, numbers.from_float(value) if isinstance(value, float) else value)


def boolean(truth: bool) -> Value:
    """`true` or `false`."""
    return TRUE if truth else FALSE


def null(type: Type = ANY) -> Value:
    """Null of a type."""
    return Value(type, None)


def unknown(type: Type = ANY) -> Value:
    """An unknown of a type."""
    return Value(type, UNKNOWN)


def list_of(element: Type, members: Iterable[Value]) -> Value:
    """A list; the members must be of the element type."""
    members = tuple(members)
    return Value(ListType(element), members, _weight(members))


def set_of(element: Type, members: Iterable[Value]) -> Value:
    """A set; the members must be of the element type. Equals are dropped."""
    unique: dict[Any, Value] = {}
    for member in members:
        unique.setdefault(sort_key(member), member)
    ordered = tuple(unique[key] for key in sorted(unique))
    return Value(SetType(element), ordered, _weight(ordered))


def map_of(element: Type, members: Mapping[str, Value]) -> Value:
    """A map; the members must be of the element type."""
    return Value(MapType(element), {key: members[key] for key in sorted(members)}, _weight(members.values()))


def tuple_of(members: Iterable[Value]) -> Value:
    """A tuple of whatever types its members have."""
    members = tuple(members)
    return Value(TupleType(tuple(member.type for member in members)), members, _weight(members))


def object_of(members: Mapping[str, Value]) -> Value:
    """An object of whatever types its members have."""
    ordered = {key: members[key] for key in sorted(members)}
    types = {key: member.type for key, member in ordered.items()}
    return Value(ObjectType(types), ordered, _weight(ordered.values()))


def sort_key(value: Value) -> Any:
    """A hashable, totally ordered key: what sets sort and tell equals by."""
    raw = value.raw
    if raw is None:
        return (0,)
    if raw is UNKNOWN:
        return (5,)
    if isinstance(raw, bool):
        return (1, raw)
    if isinstance(raw, str):
        return (3, raw.encode("utf-8", "surrogatepass"))  # the peer orders strings by bytes
    if isinstance(raw, tuple):
        return (4, len(raw), tuple(sort_key(member) for member in raw))
    if isinstance(raw, dict):
        return (4, len(raw), tuple((key, sort_key(member)) for key, member in raw.items()))
    return (2, raw)


def elements(value: Value) -> Iterator[tuple[Value, Value]]:
    """Key and element of each member of a known collection or structure; of a set, the element is its own key."""
    if isinstance(value.type, SetType):
        for member in value.raw:
            yield member, member
    elif isinstance(value.raw, dict):
        for key, member in value.raw.items():
            yield string(key), member
    else:
        for position, member in enumerate(value.raw):
            yield number(position), member


def is_iterable(type: Type) -> bool:
    """Whether values of the type have members."""
    return isinstance(type, ListType | SetType | MapType | TupleType | ObjectType)


def members_of(value: Value) -> Sequence[Value]:
    """The members of a known, non-null collection or structure, in order."""
    return tuple(value.raw.values()) if isinstance(value.raw, dict) else value.raw


def wholly_known(value: Value) -> bool:
    """Whether neither the value nor anything in it is unknown."""
    raw = value.raw
    if isinstance(raw, str):
        return True
    if isinstance(raw, tuple):
        return all(map(wholly_known, raw))
    if isinstance(raw, dict):
        return all(map(wholly_known, raw.values()))
    return raw is not UNKNOWN


def equal(left: Value, right: Value) -> Value:
    """What `==` gives: never across types, null only equals null; unknown where a part is."""
    if not (wholly_known(left) and wholly_known(right)):
        return unknown(BOOL)
    return boolean(same(left, right))


def same(left: Value, right: Value) -> bool:
    """Whether two wholly known values are equal."""
    if left.raw is None or right.raw is None:
        return left.raw is right.raw
    if isinstance(left.type, TupleType | ObjectType):
        if type(left.type) is not type(right.type) or len(left.raw) != len(right.raw):
            return False
    elif left.type != right.type:
        return False
    if isinstance(left.raw, dict):
        return left.raw.keys() == right.raw.keys() and all(same(left.raw[key], right.raw[key]) for key in left.raw)
    if isinstance(left.raw, tuple):
        return all(map(same, left.raw, right.raw)) and len(left.raw) == len(right.raw)
    return bool(left.raw == right.raw)


def from_python(data: Any) -> Value:
    """The value of plain data: None, bool, int, float, str, and lists (tuples) and dicts (objects) of such.

    Raises TypeError for anything else, NumberError for a float that is not finite.
    """
    match data:
        case None:
            return NULL
        case Value():
            return data
        case bool():
            return boolean(data)
        case str():
            return string(data)
        case int() | float():
            return number(data)
        case Mapping():
            return object_of({str(key): from_python(member) for key, member in data.items()})
        case Sequence():
            return tuple_of(from_python(member) for member in data)
        case _:
            raise TypeError(f"no bake value for {type(data).__name__}")


def to_python(value: Value) -> Any:
    """Plain data of a wholly known value: numbers as int, or float where not whole."""
    raw = value.raw
    if isinstance(raw, dict):
        return {key: to_python(member) for key, member in raw.items()}
    if isinstance(raw, tuple):
        return [to_python(member) for member in raw]
    if value.type == NUMBER and raw is not None and not isinstance(raw, int):
        return float(raw)
    return raw

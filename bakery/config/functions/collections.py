"""Lists, tuples, maps and objects: taking apart, putting together, searching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bakery.config import number as numbers
from bakery.config.conversion import ConversionError, convert, unify
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer, whole
from bakery.config.types import (
    ANY,
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
from bakery.config.values import (
    EMPTY_OBJECT,
    Value,
    boolean,
    list_of,
    map_of,
    members_of,
    number,
    object_of,
    same,
    sort_key,
    string,
    tuple_of,
)

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_LIST = Parameter("list", ListType(ANY))
_SEQUENCE = Parameter("list")

RANGE_LIMIT: Final = 1024
"""How many numbers `range` makes, in the peer and here."""


def _element_type(value: Value) -> Type:
    assert isinstance(value.type, ListType | SetType | MapType)
    return value.type.element


def _like(value: Value, members: Sequence[Value]) -> Value:
    """Other members in the same kind of sequence: a tuple, or a list of the element type."""
    if isinstance(value.type, TupleType):
        return tuple_of(members)
    return list_of(_element_type(value), members)


@_define(_LIST, Parameter("size", NUMBER))
def chunklist(args: Sequence[Value]) -> Value:
    """Lists of at most a size; size 0 means one list."""
    members, size = args[0].raw, whole(args, 1)
    if size < 0:
        raise FunctionError("the size argument must be positive")
    step = size or max(len(members), 1)
    chunks = [_like(args[0], members[at : at + step]) for at in range(0, len(members), step)]
    return list_of(args[0].type, chunks)


@_define(variadic=Parameter("vals", ANY, takes_null=True))
def coalesce(args: Sequence[Value]) -> Value:
    """The first that is not null, all as one type."""
    common = unify([arg.type for arg in args])
    if common is None:
        raise FunctionError("all arguments must have the same type")
    for index, arg in enumerate(args):
        if not arg.is_null:
            try:
                return convert(arg, common)
            except ConversionError as problem:
                raise ArgumentError(index, str(problem)) from None
    raise FunctionError("no non-null arguments")


@_define(variadic=Parameter("vals", ANY, takes_null=True))
def coalescelist(args: Sequence[Value]) -> Value:
    """The first that is not empty."""
    if not args:
        raise FunctionError("at least one argument is required")
    if not all(isinstance(arg.type, ListType | TupleType) for arg in args):
        raise FunctionError("coalescelist arguments must be lists or tuples")
    for arg in args:
        if arg.raw:
            return arg
    raise FunctionError("no non-null arguments")


@_define(Parameter("list", ListType(STRING)))
def compact(args: Sequence[Value]) -> Value:
    """Without null and empty strings."""
    return list_of(STRING, [member for member in args[0].raw if member.raw])


@_define(variadic=Parameter("seqs"))
def concat(args: Sequence[Value]) -> Value:
    """One after the other; lists of one type stay a list, anything else becomes a tuple."""
    if not args:
        raise FunctionError("at least one argument is required")
    for index, arg in enumerate(args):
        if not isinstance(arg.type, ListType | TupleType):
            raise ArgumentError(index, f"all arguments must be lists or tuples; got {friendly_name(arg.type)}")
    if all(isinstance(arg.type, ListType) for arg in args):
        common = unify([arg.type for arg in args])
        if isinstance(common, ListType):
            return list_of(common.element, [member for arg in args for member in convert(arg, common).raw])
    return tuple_of([member for arg in args for member in arg.raw])


@_define(_SEQUENCE, Parameter("value"))
def contains(args: Sequence[Value]) -> Value:
    """Whether a list, tuple or set has a value."""
    if not isinstance(args[0].type, ListType | TupleType | SetType):
        raise FunctionError("argument must be list, tuple, or set")
    return boolean(any(same(args[1], member) for member in args[0].raw))


@_define(_LIST)
def distinct(args: Sequence[Value]) -> Value:
    """Each element once, in order of first appearance."""
    unique: dict[object, Value] = {}
    for member in args[0].raw:
        unique.setdefault(sort_key(member), member)
    return list_of(_element_type(args[0]), unique.values())


@_define(_SEQUENCE, Parameter("index", NUMBER))
def element(args: Sequence[Value]) -> Value:
    """The element at an index that wraps around at both ends."""
    if not isinstance(args[0].type, ListType | TupleType):
        raise FunctionError(f"cannot read elements from {friendly_name(args[0].type)}")
    index = whole(args, 1)
    if not args[0].raw:
        raise FunctionError("cannot use element function with an empty list")
    member: Value = args[0].raw[index % len(args[0].raw)]
    return member


@_define(_SEQUENCE)
def flatten(args: Sequence[Value]) -> Value:
    """A tuple with the elements of nested sequences in their place."""
    if not isinstance(args[0].type, ListType | TupleType | SetType):
        raise FunctionError("can only flatten lists, sets and tuples")
    flat: list[Value] = []
    todo = list(reversed(args[0].raw))
    while todo:
        member = todo.pop()
        if isinstance(member.type, ListType | TupleType | SetType) and not member.is_null:
            todo.extend(reversed(member.raw))
        else:
            flat.append(member)
    return tuple_of(flat)


def _has_index(collection: Value, key: Value) -> bool:
    match collection.type:
        case ListType() | TupleType():
            return key.type == NUMBER and isinstance(key.raw, int) and 0 <= key.raw < len(collection.raw)
        case MapType() | ObjectType():
            return key.type == STRING and key.raw in collection.raw
        case _:
            raise FunctionError("collection must be a list, a map or a tuple")


@_define(Parameter("collection"), Parameter("key"))
def hasindex(args: Sequence[Value]) -> Value:
    """Whether there is an element under a key."""
    return boolean(_has_index(*args))


@_define(Parameter("collection"), Parameter("key"))
def index(args: Sequence[Value]) -> Value:
    """The element under a key."""
    collection, key = args
    if not _has_index(collection, key):
        if isinstance(collection.type, ListType | TupleType) and key.type != NUMBER:
            raise FunctionError(f"key for {friendly_name(collection.type).split()[0]} must be number")
        if isinstance(collection.type, MapType | ObjectType) and key.type != STRING:
            raise FunctionError(f"key for {friendly_name(collection.type).split()[0]} must be string")
        raise FunctionError("invalid index")
    member: Value = collection.raw[key.raw]
    return member


@_define(_SEQUENCE, Parameter("value"))
def indexof(args: Sequence[Value]) -> Value:
    """The position of a value in a list or tuple."""
    if not isinstance(args[0].type, ListType | TupleType):
        raise FunctionError("argument must be a list or tuple")
    if not args[0].raw:
        raise FunctionError("cannot search an empty list")
    for position, member in enumerate(args[0].raw):
        if same(member, args[1]):
            return number(position)
    raise FunctionError("item not found")


@_define(Parameter("inputMap"))
def keys(args: Sequence[Value]) -> Value:
    """The keys in order."""
    if not isinstance(args[0].type, MapType | ObjectType):
        raise ArgumentError(0, "must have map or object type")
    names = [string(key) for key in args[0].raw]
    return tuple_of(names) if isinstance(args[0].type, ObjectType) else list_of(STRING, names)


@_define(Parameter("mapping"))
def values(args: Sequence[Value]) -> Value:
    """The elements in order of their keys."""
    if not isinstance(args[0].type, MapType | ObjectType):
        raise FunctionError("values() requires a map as the first argument")
    members = members_of(args[0])
    return tuple_of(members) if isinstance(args[0].type, ObjectType) else list_of(_element_type(args[0]), members)


@_define(Parameter("collection"))
def length(args: Sequence[Value]) -> Value:
    """The number of elements; not of strings or objects."""
    if not isinstance(args[0].type, ListType | TupleType | MapType | SetType):
        raise FunctionError("collection must be a list, a map or a tuple")
    return number(len(args[0].raw))


@_define(Parameter("inputMap"), Parameter("key", STRING), Parameter("default"))
def lookup(args: Sequence[Value]) -> Value:
    """The element under a key, or else a default."""
    collection, key, default = args
    if not isinstance(collection.type, MapType | ObjectType):
        raise ArgumentError(0, "lookup() requires a map as the first argument")
    if isinstance(collection.type, MapType):
        try:
            default = convert(default, collection.type.element)
        except ConversionError:
            raise ArgumentError(2, "the default value must have the same type as the map elements") from None
    member: Value = collection.raw.get(key.raw, default)
    return member


@_define(variadic=Parameter("maps", ANY, takes_null=True))
def merge(args: Sequence[Value]) -> Value:
    """One with all the elements; later ones win. Maps of one type stay a map."""
    merged: dict[str, Value] = {}
    for arg in args:
        if arg.type == ANY and arg.is_null:
            continue
        if not isinstance(arg.type, MapType | ObjectType):
            raise FunctionError(f'arguments must be maps or objects, got "{friendly_name(arg.type)}"')
        merged.update(arg.raw or {})
    if not args:
        return EMPTY_OBJECT
    first = args[0].type
    if isinstance(first, MapType) and all(arg.type == first for arg in args):
        return map_of(first.element, merged)
    return object_of(merged)


@_define(variadic=Parameter("params", NUMBER))
def range_(args: Sequence[Value]) -> Value:
    """Numbers from a start (0) to before an end in steps (1, or -1 if the end is below the start)."""
    if not 1 <= len(args) <= 3:
        raise FunctionError("must have one, two, or three arguments")
    raw = [arg.raw for arg in args]
    start, end = (0, raw[0]) if len(raw) == 1 else raw[:2]
    step = raw[2] if len(raw) == 3 else (-1 if end < start else 1)
    if step == 0:
        raise ArgumentError(2, "step must not be zero")
    if step < 0 and end > start:
        raise ArgumentError(1, "end must be less than start when step is negative")
    if step > 0 and end < start:
        raise ArgumentError(1, "end must be greater than start when step is positive")
    made: list[Value] = []
    while start > end if step < 0 else start < end:
        if len(made) >= RANGE_LIMIT:
            raise FunctionError(
                f"more than {RANGE_LIMIT} values were generated; either decrease the difference between start and end "
                "or use a smaller step"
            )
        made.append(number(start))
        start = numbers.add(start, step)
    return list_of(NUMBER, made)


@_define(_SEQUENCE)
def reverselist(args: Sequence[Value]) -> Value:
    """The elements from last to first."""
    if not isinstance(args[0].type, ListType | TupleType | SetType):
        raise ArgumentError(0, f"can only reverse list or tuple values, not {friendly_name(args[0].type)}")
    return _like(args[0], args[0].raw[::-1])


@_define(_SEQUENCE, Parameter("start_index", NUMBER), Parameter("end_index", NUMBER))
def slice_(args: Sequence[Value]) -> Value:
    """The elements from a start to before an end."""
    if isinstance(args[0].type, SetType):
        raise ArgumentError(
            0,
            "cannot slice a set, because its elements do not have indices; explicitly convert to a list if the "
            "ordering of the result is not important",
        )
    if not isinstance(args[0].type, ListType | TupleType):
        raise ArgumentError(0, "must be a list or tuple value")
    bounds = []
    for position, name in ((1, "start"), (2, "end")):
        bound = whole(args, position)
        if bound < 0:
            raise ArgumentError(position, f"{name} index must not be less than zero")
        if bound > len(args[0].raw):
            raise ArgumentError(position, f"{name} index must not be greater than the length of the list")
        bounds.append(bound)
    if bounds[0] > bounds[1]:
        raise ArgumentError(1, "start index must not be greater than end index")
    return _like(args[0], args[0].raw[bounds[0] : bounds[1]])


@_define(Parameter("list", ListType(STRING)))
def sort(args: Sequence[Value]) -> Value:
    """Strings in the order of their bytes."""
    for position, member in enumerate(args[0].raw):
        if member.is_null:
            raise FunctionError(f"given list element {position} is null; a null string cannot be sorted")
    return list_of(STRING, sorted(args[0].raw, key=sort_key))


@_define(Parameter("keys", ListType(STRING)), Parameter("values"))
def zipmap(args: Sequence[Value]) -> Value:
    """A map or object from keys and the values at the same positions."""
    names, members = args
    if not isinstance(members.type, ListType | TupleType):
        raise FunctionError("values argument must be a list or tuple value")
    if len(names.raw) != len(members.raw):
        counts = f"number of keys ({len(names.raw)}) does not match number of values ({len(members.raw)})"
        raise FunctionError(counts)
    for position, name in enumerate(names.raw):
        if name.is_null:
            raise FunctionError(f"keys list has null value at index {position}")
    zipped = {name.raw: member for name, member in zip(names.raw, members.raw, strict=True)}
    if isinstance(members.type, ListType):
        return map_of(members.type.element, zipped)
    return object_of(zipped)

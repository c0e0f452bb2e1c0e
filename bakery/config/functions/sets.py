"""Sets: membership, union, intersection, differences, product."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bakery.config.conversion import ConversionError, convert, unify
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer
from bakery.config.types import ANY, ListType, SetType, TupleType, Type
from bakery.config.values import Value, boolean, check_weight, list_of, set_of, sort_key, tuple_of

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_FIRST = Parameter("first_set", SetType(ANY))
_OTHERS = Parameter("other_sets", SetType(ANY))

Members = Mapping[Any, Value]


@_define(Parameter("set", SetType(ANY)), Parameter("elem"))
def sethaselement(args: Sequence[Value]) -> Value:
    """Whether a set has an element of the same type and value."""
    return boolean(any(member.type == args[1].type and member == args[1] for member in args[0].raw))


def _combined(args: Sequence[Value], combine: Callable[[Members, Members], Members]) -> Value:
    """Sets of a common type, combined from left to right."""
    types = [_element_type(arg) for arg in args if arg.raw or _element_type(arg) != ANY]
    element = unify(types) if types else ANY
    if element is None:
        raise FunctionError("given sets must all have compatible element types")
    result: Members = {}
    for index, arg in enumerate(args):
        try:
            members = {sort_key(member): member for member in convert(arg, SetType(element)).raw}
        except ConversionError as problem:
            raise ArgumentError(index, str(problem)) from None
        result = combine(result, members) if index else members
    return set_of(element, result.values())


def _element_type(value: Value) -> Type:
    assert isinstance(value.type, SetType)
    return value.type.element


@_define(_FIRST, variadic=_OTHERS)
def setunion(args: Sequence[Value]) -> Value:
    """What is in any of the sets."""
    return _combined(args, lambda left, right: {**left, **right})


@_define(_FIRST, variadic=_OTHERS)
def setintersection(args: Sequence[Value]) -> Value:
    """What is in all of the sets."""
    return _combined(args, lambda left, right: {key: left[key] for key in left if key in right})


@_define(Parameter("a", SetType(ANY)), Parameter("b", SetType(ANY)))
def setsubtract(args: Sequence[Value]) -> Value:
    """What is in the first set but not in the second."""
    return _combined(args, _without)


@_define(_FIRST, variadic=_OTHERS)
def setsymmetricdifference(args: Sequence[Value]) -> Value:
    """What is in one but not both, from left to right."""
    return _combined(args, lambda left, right: {**_without(left, right), **_without(right, left)})


def _without(left: Members, right: Members) -> Members:
    return {key: left[key] for key in left if key not in right}


@_define(variadic=Parameter("sets"))
def setproduct(args: Sequence[Value]) -> Value:
    """All combinations with one element of each; a list if no set is among the arguments."""
    if len(args) < 2:
        raise FunctionError("at least two arguments are required")
    types = [_unified_element(index, arg) for index, arg in enumerate(args)]
    check_weight(math.prod(len(arg.raw) for arg in args) * len(args))
    axes = [[convert(member, type) for member in arg.raw] for arg, type in zip(args, types, strict=True)]
    product = [tuple_of(combination) for combination in itertools.product(*axes)]
    element = product[0].type if product else TupleType(tuple(types))
    if any(isinstance(arg.type, SetType) for arg in args):
        return set_of(element, product)
    return list_of(element, product)


def _unified_element(index: int, value: Value) -> Type:
    match value.type:
        case SetType(element) | ListType(element):
            return element
        case TupleType(elements):
            unified = unify(elements) if elements else ANY
            if unified is None:
                raise ArgumentError(index, "all elements must be of the same type")
            return unified
        case _:
            raise ArgumentError(index, "a set or a list is required")

"""Truth and comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bakery.config.functions.function import Function, Parameter, definer
from bakery.config.types import ANY, BOOL, NUMBER
from bakery.config.values import Value, boolean, equal

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_A, _B = Parameter("a", BOOL), Parameter("b", BOOL)
_LEFT, _RIGHT = Parameter("a", NUMBER), Parameter("b", NUMBER)
_ONE, _OTHER = Parameter("a", ANY, takes_null=True), Parameter("b", ANY, takes_null=True)


@_define(_A, _B)
def and_(args: Sequence[Value]) -> Value:
    """Both."""
    return boolean(args[0].raw and args[1].raw)


@_define(_A, _B)
def or_(args: Sequence[Value]) -> Value:
    """One or both."""
    return boolean(args[0].raw or args[1].raw)


@_define(Parameter("val", BOOL))
def not_(args: Sequence[Value]) -> Value:
    """The opposite."""
    return boolean(not args[0].raw)


@_define(_ONE, _OTHER)
def equal_(args: Sequence[Value]) -> Value:
    """Whether two values are equal; values of different types never are."""
    return equal(args[0], args[1])


@_define(_ONE, _OTHER)
def notequal(args: Sequence[Value]) -> Value:
    """Whether two values differ."""
    return boolean(not equal(args[0], args[1]).raw)


@_define(_LEFT, _RIGHT)
def greaterthan(args: Sequence[Value]) -> Value:
    """a > b."""
    return boolean(bool(args[0].raw > args[1].raw))


@_define(_LEFT, _RIGHT)
def greaterthanorequalto(args: Sequence[Value]) -> Value:
    """a ≥ b."""
    return boolean(bool(args[0].raw >= args[1].raw))


@_define(_LEFT, _RIGHT)
def lessthan(args: Sequence[Value]) -> Value:
    """a < b."""
    return boolean(bool(args[0].raw < args[1].raw))


@_define(_LEFT, _RIGHT)
def lessthanorequalto(args: Sequence[Value]) -> Value:
    """a ≤ b."""
    return boolean(bool(args[0].raw <= args[1].raw))

"""Numbers: arithmetic, rounding, powers, parsing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bakery.config import number
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer, whole
from bakery.config.types import ANY, NUMBER, STRING, friendly_name
from bakery.config.values import Value
from bakery.config.values import number as number_value

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_NUM = Parameter("num", NUMBER)
_A, _B = Parameter("a", NUMBER), Parameter("b", NUMBER)
_NUMBERS = Parameter("numbers", NUMBER)


@_define(_NUM)
def absolute(args: Sequence[Value]) -> Value:
    """The number without its sign."""
    return number_value(abs(args[0].raw))


@_define(_A, _B)
def add(args: Sequence[Value]) -> Value:
    """Sum."""
    return number_value(number.add(args[0].raw, args[1].raw))


@_define(_A, _B)
def subtract(args: Sequence[Value]) -> Value:
    """Difference."""
    return number_value(number.subtract(args[0].raw, args[1].raw))


@_define(_A, _B)
def multiply(args: Sequence[Value]) -> Value:
    """Product."""
    return number_value(number.multiply(args[0].raw, args[1].raw))


@_define(_A, _B)
def divide(args: Sequence[Value]) -> Value:
    """Quotient."""
    return number_value(number.divide(args[0].raw, args[1].raw))


@_define(_A, _B)
def modulo(args: Sequence[Value]) -> Value:
    """Remainder, with the sign of the dividend."""
    return number_value(number.modulo(args[0].raw, args[1].raw))


@_define(_NUM)
def negate(args: Sequence[Value]) -> Value:
    """The number with the other sign."""
    return number_value(-args[0].raw)


@_define(_NUM)
def ceil(args: Sequence[Value]) -> Value:
    """The next whole number that is not smaller."""
    return number_value(math.ceil(args[0].raw))


@_define(_NUM)
def floor(args: Sequence[Value]) -> Value:
    """The next whole number that is not greater."""
    return number_value(math.floor(args[0].raw))


@_define(_NUM)
def int_(args: Sequence[Value]) -> Value:
    """The whole part, towards zero."""
    return number_value(number.truncate(args[0].raw))


@_define(variadic=_NUMBERS)
def max_(args: Sequence[Value]) -> Value:
    """The greatest."""
    return number_value(max(_given(args)))


@_define(variadic=_NUMBERS)
def min_(args: Sequence[Value]) -> Value:
    """The smallest."""
    return number_value(min(_given(args)))


def _given(args: Sequence[Value]) -> list[number.Number]:
    if not args:
        raise FunctionError("must pass at least one number")
    return [arg.raw for arg in args]


@_define(Parameter("num", NUMBER), Parameter("base", NUMBER))
def log(args: Sequence[Value]) -> Value:
    """The logarithm of a number in a base, as doubles compute it."""
    num, base = float(args[0].raw), float(args[1].raw)
    if num <= 0 or base <= 0 or base == 1:
        raise FunctionError("the logarithm needs a positive number and a positive base other than 1")
    return number_value(math.log(num) / math.log(base))


@_define(Parameter("num", NUMBER), Parameter("power", NUMBER))
def pow_(args: Sequence[Value]) -> Value:
    """A power, as doubles compute it."""
    try:
        result = math.pow(float(args[0].raw), float(args[1].raw))
    except (ValueError, OverflowError, ZeroDivisionError):
        raise FunctionError("the result is not a finite number") from None
    return number_value(result)


@_define(_NUM)
def signum(args: Sequence[Value]) -> Value:
    """-1, 0 or 1, by sign."""
    return number_value((args[0].raw > 0) - (args[0].raw < 0))


_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@_define(Parameter("number", ANY), Parameter("base", NUMBER))
def parseint(args: Sequence[Value]) -> Value:
    """The integer that a text stands for in a base from 2 to 62. Up to base 36, upper case means lower case."""
    if args[0].type != STRING:
        raise ArgumentError(0, f"first argument must be a string, not {friendly_name(args[0].type)}")
    base = whole(args, 1)
    if not 2 <= base <= 62:
        raise ArgumentError(1, "base must be a whole number between 2 and 62 inclusive")
    text: str = args[0].raw
    digits = text[1:] if text[:1] in ("+", "-") else text
    folded = digits.lower() if base <= 36 else digits
    if not folded or len(folded) > 10_000 or not set(folded) <= set(_DIGITS[:base]):
        raise ArgumentError(0, f'cannot parse "{text}" as a base {base} integer')
    value = 0
    for digit in folded:
        value = value * base + _DIGITS.index(digit)
    return number_value(number.normal(-value if text[0] == "-" else value))

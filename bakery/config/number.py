"""Numbers as the peer computes them: binary floating point with 512 bits of precision, printed in shortest form.

Whole numbers are Python ints, which the common case is; anything else is a `Fraction` rounded to 512 significant bits
(to nearest, ties to even). `0.1 + 0.2` prints `0.3` because the shortest decimal that rounds to the same 512 bits does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    Number = int | Fraction

PRECISION = 512
"""Significant bits of every result."""

MAX_EXPONENT = 10_000
"""Largest decimal exponent accepted in a number: beyond it, printing in plain digits would fill the memory."""

_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\Z", re.ASCII)


class NumberError(ValueError):
    """A number that cannot be had: a division by zero, a result out of bounds."""


def parse(text: str) -> Number:
    """The number that decimal text stands for. Raises NumberError if it stands for none."""
    match = _NUMBER.match(text)
    if match is None:
        raise NumberError("a number is required")
    sign, whole, part, exponent_text = match[1], match[2], match[3] or "", match[4] or "0"
    if len(exponent_text) > 6 or abs(int(exponent_text)) > MAX_EXPONENT or len(whole) + len(part) > MAX_EXPONENT:
        raise NumberError(f"numbers of more than {MAX_EXPONENT} decimal digits are not supported")
    exponent = int(exponent_text) - len(part)
    digits = _int(whole + part) * (-1 if sign == "-" else 1)
    if exponent >= 0:
        return normal(digits * 10**exponent)
    return ratio(digits, 10**-exponent)


def _int(digits: str) -> int:
    """int() without Python's limit of 4300 digits, whose purpose MAX_EXPONENT serves here."""
    if len(digits) <= 4000:
        return int(digits)
    half = len(digits) // 2
    power: int = 10 ** (len(digits) - half)
    return _int(digits[:half]) * power + _int(digits[half:])


def from_float(value: float) -> Number:
    """The number that a double prints as. Raises NumberError for infinities and NaN."""
    if value != value or value in (float("inf"), float("-inf")):
        raise NumberError("the result is not a finite number")
    return int(value) if value.is_integer() else parse(repr(value))


def ratio(numerator: int, denominator: int) -> Number:
    """A quotient rounded to the precision. Raises NumberError for a division by zero."""
    if denominator == 0:
        raise NumberError("division by zero")
    if numerator % denominator == 0:
        return normal(numerator // denominator)
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    shift = PRECISION - abs(numerator).bit_length() + denominator.bit_length()
    mantissa = _round_quotient(numerator << max(shift, 0), denominator << max(-shift, 0))
    excess = abs(mantissa).bit_length() - PRECISION
    if excess > 0:  # one bit too many: round once, from the exact quotient, at the right place
        shift -= excess
        mantissa = _round_quotient(numerator << max(shift, 0), denominator << max(-shift, 0))
    from fractions import Fraction

    value = Fraction(mantissa, 1 << shift) if shift >= 0 else Fraction(mantissa << -shift)
    return value.numerator if value.denominator == 1 else value


def _round_quotient(numerator: int, denominator: int) -> int:
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (1 if twice > denominator or (twice == denominator and quotient & 1) else 0)


def normal(value: Number) -> Number:
    """A number rounded to the precision, whole ones as int. Raises NumberError if it is out of bounds."""
    if not isinstance(value, int):
        return ratio(value.numerator, value.denominator)
    excess = value.bit_length() - PRECISION
    if excess <= 0:
        return value
    if value.bit_length() > MAX_EXPONENT * 4:
        raise NumberError(f"numbers of more than {MAX_EXPONENT} decimal digits are not supported")
    return _round_quotient(value, 1 << excess) << excess


def add(left: Number, right: Number) -> Number:
    """Sum."""
    return normal(left + right)


def subtract(left: Number, right: Number) -> Number:
    """Difference."""
    return normal(left - right)


def multiply(left: Number, right: Number) -> Number:
    """Product."""
    return normal(left * right)


def divide(left: Number, right: Number) -> Number:
    """Quotient. Raises NumberError for a division by zero."""
    return ratio(left.numerator * right.denominator, left.denominator * right.numerator)


def modulo(left: Number, right: Number) -> Number:
    """Remainder with the sign of the dividend. Raises NumberError for a division by zero."""
    if right == 0:
        raise NumberError("division by zero")
    return normal(left - right * truncate(left / right if not isinstance(left, int) else _quotient(left, right)))


def _quotient(left: int, right: Number) -> Number:
    from fractions import Fraction

    return Fraction(left) / right


def truncate(value: Number) -> int:
    """The whole part, towards zero."""
    whole = abs(value.numerator) // value.denominator
    return whole if value.numerator >= 0 else -whole


def to_text(value: Number) -> str:
    """Plain decimal digits, never an exponent: the fewest that stand for the same 512 bits."""
    if isinstance(value, int) and value.bit_length() <= PRECISION:
        return str(value)
    sign = "-" if value < 0 else ""
    digits, point = shortest_digits(value)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def shortest_digits(value: Number) -> tuple[str, int]:
    """The fewest digits that stand for the same 512 bits, and where in them the decimal point is: 0.25 is ("25", 0).

    The value is bounded by half a unit of its last bit to either side; the fewest decimals that lead to a number
    within these bounds are found by bisection, since more decimals always fit as well.
    """
    numerator, denominator = abs(value.numerator), value.denominator
    if numerator == 0:
        return "0", 1
    if denominator == 1 and numerator.bit_length() <= PRECISION:
        text = str(numerator)
        return text.rstrip("0"), len(text)
    half_shift = numerator.bit_length() - PRECISION - 1  # half of the last bit weighs 2**half_shift / denominator
    scale = max(-half_shift, 0)
    numerator, half, denominator = numerator << scale, 1 << (half_shift + scale), denominator << scale
    even = not (numerator >> (half_shift + scale + 1)) & 1

    def rounded(decimals: int) -> int | None:
        up, over = (10**decimals, 1) if decimals >= 0 else (1, 10**-decimals)
        unit, bound = denominator * over, half * up
        down, rest = divmod(numerator * up, unit)
        fits = [
            (error, digits)
            for digits, error in ((down, rest), (down + 1, unit - rest))
            if digits and (error < bound or (even and error == bound))
        ]
        return min(fits)[1] if fits else None

    whole_digits = len(_digits(numerator // denominator))
    low, high = -whole_digits - 1, 8 - whole_digits
    while rounded(high) is None:
        low, high = high, high + 2 * (high - low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rounded(middle) is None else (low, middle)
    found = rounded(high)
    assert found is not None
    text = _digits(found)
    return text.rstrip("0"), len(text) - high


def _digits(value: int) -> str:
    # int → str is limited to 4300 digits by default; MAX_EXPONENT bounds what comes here
    if value.bit_length() < 14_000:
        return str(value)
    high, low = divmod(value, 10**4000)
    return _digits(high) + _digits(low).rjust(4000, "0")


def to_integer_digits(value: int) -> str:
    """All digits of a whole number that is not negative, not shortened to what 512 bits tell apart."""
    return _digits(value)

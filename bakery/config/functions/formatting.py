"""`format` and `formatlist`: C-like format strings, as Go's `fmt` fills them in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from bakery.config import number as numbers
from bakery.config.conversion import ConversionError, convert
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer
from bakery.config.graphemes import grapheme_length, graphemes
from bakery.config.json_text import quoted, to_json
from bakery.config.types import ANY, BOOL, NUMBER, STRING, ListType, SetType, TupleType
from bakery.config.values import Value, check_weight, list_of, string
from bakery.values import frozen

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_FORMAT = Parameter("format", STRING)
_ARGS = Parameter("args", ANY, takes_null=True)

MAX_WIDTH: Final = 10_000
"""Largest width or precision of a verb."""

_PIECE = re.compile(
    r"[^%]+|%%|%(?P<flags>[0#+\- ]*)(?P<width>[1-9][0-9]*)?(?P<precision>\.[0-9]*)?(?:\[(?P<index>[1-9][0-9]*)\])?"
    r"(?P<verb>[a-zA-Z])",
    re.ASCII | re.DOTALL,
)


@_define(_FORMAT, variadic=_ARGS)
def format_(args: Sequence[Value]) -> Value:
    """A text with the arguments in place of its verbs."""
    return string(_filled(args[0].raw, args[1:]))


@_define(_FORMAT, variadic=_ARGS)
def formatlist(args: Sequence[Value]) -> Value:
    """One text for each element of the sequences among the arguments, which must be of one length."""
    length: int | None = None
    chooser = 0
    for index, arg in enumerate(args[1:], 1):
        if not _is_sequence(arg):
            continue
        if length is None:
            length, chooser = len(arg.raw), index
        elif len(arg.raw) != length:
            raise ArgumentError(
                index,
                f"argument {index} has length {len(arg.raw)}, which is inconsistent with argument {chooser} of length "
                f"{length}",
            )
    texts = []
    for iteration in range(1 if length is None else length):
        row = [arg.raw[iteration] if _is_sequence(arg) else arg for arg in args[1:]]
        try:
            texts.append(string(_filled(args[0].raw, row)))
        except FunctionError as problem:
            raise FunctionError(f"error on format iteration {iteration}: {problem}") from None
    return list_of(STRING, texts)


def _is_sequence(value: Value) -> bool:
    return isinstance(value.type, ListType | SetType | TupleType) and not value.is_null


@frozen
class _Verb:
    """One `%…` of a format string. Width and precision are None where not given."""

    raw: str
    offset: int
    letter: str
    flags: str
    width: int | None
    precision: int | None

    def unsupported(self, reason: object) -> FunctionError:
        return FunctionError(f'unsupported value for "{self.raw}" at {self.offset}: {reason}')

    def padded(self, text: str) -> str:
        """Text filled up to the width."""
        missing = (self.width or 0) - grapheme_length(text)
        pad = ("0" if "0" in self.flags else " ") * missing
        return text + pad if "-" in self.flags else pad + text

    def padded_number(self, sign: str, digits: str) -> str:
        """A number filled up to the width, zeros going after the sign."""
        sign = sign or ("+" if "+" in self.flags else " " if " " in self.flags else "")
        missing = (self.width or 0) - len(sign) - len(digits)
        if "-" in self.flags:
            return sign + digits + " " * missing
        if "0" in self.flags:
            return sign + "0" * missing + digits
        return " " * missing + sign + digits


def _filled(text: str, args: Sequence[Value]) -> str:
    made: list[str] = []
    at, following, highest, size = 0, 1, 0, 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise _bad_format(text, at)
        at = match.end()
        if match["verb"] is None:
            made.append("%" if match[0] == "%%" else match[0])
        else:
            position = int(match["index"]) if match["index"] else following
            highest, following = max(highest, position), position + 1
            made.append(_formatted(_verb(match), position, args))
        size += len(made[-1])
        check_weight(size >> 6)
    if highest < len(args):
        used = f"only {highest} used by format string" if highest else "no verbs in format string"
        raise ArgumentError(highest + 1, f"too many arguments; {used}")
    return "".join(made)


def _bad_format(text: str, start: int) -> FunctionError:
    """What is wrong with a `%` that begins no verb."""
    at = start + 1
    while at < len(text) and text[at] in "0123456789#+-. []":
        at += 1
    if at == len(text):
        return FunctionError(f"invalid format string starting at offset {len(text)}")
    return FunctionError(f"unrecognized format character '{text[at]}' at offset {at}")


def _verb(match: re.Match[str]) -> _Verb:
    width, precision = match["width"], match["precision"]
    if len(width or "") > 5 or len(precision or "") > 6 or int(width or 0) > MAX_WIDTH:
        raise FunctionError(f'width and precision may be {MAX_WIDTH} at most in "{match[0][:40]}"')
    return _Verb(
        raw=match[0],
        offset=match.start(),
        letter=match["verb"],
        flags=match["flags"],
        width=int(width) if width else None,
        precision=int(precision[1:] or 0) if precision else None,
    )


def _formatted(verb: _Verb, position: int, args: Sequence[Value]) -> str:
    if position > len(args):
        raise FunctionError(
            f'not enough arguments for "{verb.raw}" at {verb.offset}: need index {position} but have {len(args)} total'
        )
    arg = args[position - 1]
    if verb.letter == "v":
        return verb.padded(_plain(verb, arg))
    if verb.letter not in "tbdoxXeEfgGsq":
        reason = f"unsupported format verb '{verb.letter}' in \"{verb.raw}\" at offset {verb.offset}"
        raise FunctionError(reason)
    if arg.is_null:
        raise verb.unsupported("null value cannot be formatted")
    try:
        if verb.letter == "t":
            return "true" if convert(arg, BOOL).raw else "false"
        if verb.letter in "sq":
            return _text(verb, convert(arg, STRING).raw)
        value = convert(arg, NUMBER).raw
    except ConversionError as problem:
        raise verb.unsupported(problem) from None
    return _integer(verb, value) if verb.letter in "bdoxX" else _float(verb, value)


def _plain(verb: _Verb, arg: Value) -> str:
    if "#" not in verb.flags and not arg.is_null:
        if arg.type == STRING:
            return str(arg.raw)
        if arg.type == NUMBER:
            return _sign(arg.raw) + _general(abs(arg.raw), None, "e")
    return to_json(arg)


def _text(verb: _Verb, text: str) -> str:
    if verb.precision:
        text = "".join(graphemes(text)[: verb.precision])
    return verb.padded(quoted(text) if verb.letter == "q" else text)


def _sign(value: numbers.Number) -> str:
    return "-" if value < 0 else ""


def _integer(verb: _Verb, value: numbers.Number) -> str:
    if not isinstance(value, int):
        raise verb.unsupported("an integer is required")
    digits = numbers.to_integer_digits(abs(value)) if verb.letter == "d" else f"{abs(value):{verb.letter}}"
    if verb.precision is not None:
        digits = digits.rjust(verb.precision, "0")
    prefix = {"o": "0", "x": "0x", "X": "0X", "b": "0b"}.get(verb.letter, "") if "#" in verb.flags else ""
    return verb.padded_number(_sign(value), prefix + digits)


def _float(verb: _Verb, value: numbers.Number) -> str:
    magnitude = -value if value < 0 else value
    exponent = "E" if verb.letter in "EG" else "e"
    match verb.letter:
        case "f":
            digits = _fixed(magnitude, 6 if verb.precision is None else verb.precision)
        case "e" | "E":
            digits = _scientific(magnitude, 6 if verb.precision is None else verb.precision, exponent)
        case _:
            digits = _general(magnitude, verb.precision, exponent)
    return verb.padded_number(_sign(value), digits)


_EXACT: Final = Context(prec=50_000, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)


def _decimal(value: numbers.Number) -> Decimal:
    """The exact value: the denominator is a power of two."""
    return _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _fixed(value: numbers.Number, decimals: int) -> str:
    return f"{_decimal(value).quantize(Decimal(1).scaleb(-decimals), context=_EXACT):f}"


def _scientific(value: numbers.Number, decimals: int, letter: str) -> str:
    exact = _decimal(value)
    rounded = exact.normalize(Context(prec=decimals + 1, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999))
    digits = "".join(map(str, rounded.as_tuple().digits)).ljust(decimals + 1, "0")
    return _mantissa(digits, rounded.adjusted() if exact else 0, letter)


def _mantissa(digits: str, exponent: int, letter: str) -> str:
    point = "." if len(digits) > 1 else ""
    return f"{digits[0]}{point}{digits[1:]}{letter}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _general(value: numbers.Number, precision: int | None, letter: str) -> str:
    """The fewest digits, or as many as the precision says, with an exponent if that is far from zero."""
    if precision is None:
        digits, point = numbers.shortest_digits(value)
        limit = 6
    else:
        text = _scientific(value, max(precision, 1) - 1, "e")
        mantissa, _, exponent = text.partition("e")
        digits, point = mantissa.replace(".", "").rstrip("0") or "0", int(exponent) + 1
        limit = max(precision, 1)
        if limit > len(digits) >= point:
            limit = len(digits)
    if not -4 <= point - 1 < limit:
        return _mantissa(digits, point - 1, letter)
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    digits = digits.ljust(point, "0")
    return digits[:point] + (f".{digits[point:]}" if len(digits) > point else "")

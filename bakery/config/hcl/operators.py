"""Unary and binary operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bakery.config import number
from bakery.config.conversion import ConversionError, convert
from bakery.config.hcl.syntax import Binary, Expression, Unary
from bakery.config.types import ANY, BOOL, NUMBER, Primitive
from bakery.config.values import FALSE, TRUE, Value, boolean, equal, unknown
from bakery.config.values import number as number_value
from bakery.config.work import charge_values
from bakery.diagnostics import Diagnostic

if TYPE_CHECKING:
    from bakery.config.hcl.evaluate import Evaluator

_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": number.add,
    "-": number.subtract,
    "*": number.multiply,
    "/": number.divide,
    "%": number.modulo,
}

_COMPARISON: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}

_DECIDES: Final = {"&&": FALSE, "||": TRUE}


def binary(evaluator: Evaluator, expr: Binary) -> Value:
    """The value of a binary operation. A long chain of operators nests to the left and is taken in a loop."""
    chain = [expr]
    while isinstance(chain[-1].left, Binary):
        chain.append(chain[-1].left)
    left, problems = evaluator.apart(chain[-1].left)
    for node in reversed(chain):
        left, problems = _binary(evaluator, node, left, problems)
    evaluator.diagnostics += problems
    return left


def _binary(
    evaluator: Evaluator, expr: Binary, given_left: Value, left_problems: list[Diagnostic]
) -> tuple[Value, list[Diagnostic]]:
    """One operation on a left operand that was evaluated already: the value, and all problems so far."""
    operand, result = _signature(expr.operator)
    given_right, right_problems = evaluator.apart(expr.right)
    wrong: list[Diagnostic] = []
    left = _operand(given_left, operand, expr.left, "left", wrong)
    right = _operand(given_right, operand, expr.right, "right", wrong)
    if wrong:
        return unknown(result), wrong + left_problems + right_problems
    deciding = _DECIDES.get(expr.operator)
    if deciding is not None:
        if not left_problems and left == deciding:
            return left, []
        if not right_problems and right == deciding:
            return right, []
    if left_problems or right_problems:
        return unknown(result), left_problems + right_problems
    try:
        return _apply(expr.operator, left, right), []
    except (_OperandError, number.NumberError) as problem:
        detail = f"Error during operation: {problem}."
        return unknown(result), [Diagnostic("Operation failed", detail, expr.span)]


class _OperandError(Exception):
    """An operand that no operation takes."""


def _signature(operator: str) -> tuple[Primitive, Primitive]:
    """The types of operands and result."""
    if operator in _DECIDES:
        return BOOL, BOOL
    if operator in _ARITHMETIC:
        return NUMBER, NUMBER
    return (NUMBER if operator in _COMPARISON else ANY), BOOL


def _operand(value: Value, wanted: Primitive, expr: Expression, side: str, wrong: list[Diagnostic]) -> Value:
    try:
        return convert(value, wanted)
    except ConversionError as problem:
        detail = f"Unsuitable value for {side} operand: {problem}."
        wrong.append(Diagnostic("Invalid operand", detail, expr.span))
        return unknown(wanted)


def _apply(operator: str, left: Value, right: Value) -> Value:
    if operator in ("==", "!="):
        charge_values(left, right)
        result = equal(left, right)
        return result if operator == "==" or not result.is_known else boolean(not result.raw)
    if left.is_null or right.is_null:
        raise _OperandError("argument must not be null")
    if not (left.is_known and right.is_known):
        return unknown(_signature(operator)[1])
    if operator == "&&":
        return boolean(left.raw and right.raw)
    if operator == "||":
        return boolean(left.raw or right.raw)
    if operator in _COMPARISON:
        return boolean(_COMPARISON[operator](left.raw, right.raw))
    return number_value(_ARITHMETIC[operator](left.raw, right.raw))


def unary(evaluator: Evaluator, expr: Unary) -> Value:
    """The value of `-operand` or `!operand`."""
    wanted = NUMBER if expr.operator == "-" else BOOL
    errors = len(evaluator.diagnostics)
    given = evaluator.value(expr.operand)
    try:
        value = convert(given, wanted)
    except ConversionError as problem:
        detail = f"Unsuitable value for unary operand: {problem}."
        return evaluator.error("Invalid operand", detail, expr.operand, wanted)
    if len(evaluator.diagnostics) > errors or not value.is_known:
        return unknown(wanted)
    if value.is_null:
        return evaluator.error("Operation failed", "Error during operation: argument must not be null.", expr, wanted)
    return number_value(-value.raw) if expr.operator == "-" else boolean(not value.raw)

"""Functions that decide themselves how their arguments are evaluated: `try`, `can`, `convert`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bakery.config.conversion import ConversionError
from bakery.config.conversion import convert as converted
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter
from bakery.config.values import Value, boolean
from bakery.diagnostics import BakeryError, Diagnostic

if TYPE_CHECKING:
    from bakery.config.hcl.scope import Scope
    from bakery.config.hcl.syntax import Expression


def _unused(args: Sequence[Value]) -> Value:
    raise AssertionError("a special function is not called with values")


def _evaluate(expr: Expression, scope: Scope) -> Value:
    from bakery.config.hcl.evaluate import evaluate

    return evaluate(expr, scope)


def _can(arguments: Sequence[Expression], scope: Scope) -> Value:
    """Whether an expression has no errors."""
    try:
        _evaluate(arguments[0], scope)
    except BakeryError:
        return boolean(False)
    return boolean(True)


def _try(arguments: Sequence[Expression], scope: Scope) -> Value:
    """The first of some expressions that has no errors."""
    if not arguments:
        raise FunctionError("at least one argument is required")
    problems: list[Diagnostic] = []
    for argument in arguments:
        try:
            return _evaluate(argument, scope)
        except BakeryError as problem:
            problems += problem.diagnostics
    lines = "".join(
        f"- {problem.summary}{f' (at {problem.span})' if problem.span else ''}\n  {problem.detail}\n"
        for problem in problems
    )
    last = "At least one expression must produce a successful result"
    raise FunctionError(f"no expression succeeded:\n{lines}\n{last}")


def _convert(arguments: Sequence[Expression], scope: Scope) -> Value:
    """A value as a type, which is written as in a variable's `type`."""
    from bakery.config.type_constraint import parse_type

    problems: list[Diagnostic] = []
    value = wanted = None
    try:
        value = _evaluate(arguments[0], scope)
    except BakeryError as problem:
        problems += problem.diagnostics
    try:
        wanted = parse_type(arguments[1])
    except BakeryError as problem:
        problems += problem.diagnostics
    if value is None or wanted is None:
        raise BakeryError(*problems)
    try:
        return converted(value, wanted)
    except ConversionError as problem:
        raise ArgumentError(0, str(problem)) from None


FUNCTIONS: Final = {
    "can": Function("can", (Parameter("expression"),), None, _unused, _can),
    "try": Function("try", (), Parameter("expressions"), _unused, _try),
    "convert": Function("convert", (Parameter("value"), Parameter("type")), None, _unused, _convert),
}

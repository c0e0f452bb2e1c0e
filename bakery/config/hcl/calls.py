"""Function calls: arguments to parameters, and errors to the argument they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.config import number
from bakery.config.conversion import ConversionError, convert
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter
from bakery.config.hcl.syntax import Call, Expression, Literal, first_span
from bakery.config.types import ANY, ListType, SetType, TupleType
from bakery.config.values import UNKNOWN_VALUE, Value, unknown, wholly_known
from bakery.config.work import charge_values
from bakery.diagnostics import BakeryError, Diagnostic, did_you_mean

if TYPE_CHECKING:
    from bakery.config.hcl.evaluate import Evaluator


def call(evaluator: Evaluator, expr: Call) -> Value:
    """The value of a call; unknown, with diagnostics, if it fails."""
    function = evaluator.scope.function(expr.name)
    if function is None:
        return _unknown_function(evaluator, expr)
    arguments = _expanded(evaluator, expr)
    if arguments is None or not _count_fits(evaluator, expr, function, arguments):
        return UNKNOWN_VALUE
    try:
        if function.special is not None:
            return function.special(arguments, evaluator.scope)
        values = _converted(evaluator, expr, function, arguments)
        return UNKNOWN_VALUE if values is None else _called(function, values)
    except BakeryError as problem:
        if function.special is not None:
            evaluator.diagnostics += problem.diagnostics
        else:  # from the body of a function in a bake file: the call is what the user looks at
            _failed(evaluator, expr, problem)
    except ArgumentError as problem:
        _report_argument(evaluator, expr, function, arguments, problem)
    except (FunctionError, ConversionError, number.NumberError) as problem:
        _failed(evaluator, expr, problem)
    return UNKNOWN_VALUE


def _failed(evaluator: Evaluator, expr: Call, problem: Exception) -> None:
    detail = f'Call to function "{expr.name}" failed: {problem}.'
    evaluator.diagnostics.append(Diagnostic("Error in function call", detail, first_span(expr)))


def _unknown_function(evaluator: Evaluator, expr: Call) -> Value:
    namespace, separator, name = expr.name.rpartition("::")
    if separator:
        detail = f'There are no functions in namespace "{namespace}::".'
    else:
        near = did_you_mean(name, evaluator.scope.function_names())
        detail = f'There is no function named "{name}".' + (f' Did you mean "{near}"?' if near else "")
    evaluator.diagnostics.append(Diagnostic("Call to unknown function", detail, expr.name_span))
    return UNKNOWN_VALUE


def _expanded(evaluator: Evaluator, expr: Call) -> tuple[Expression, ...] | None:
    """The arguments, with the members of a last one marked `...` in its place; None if that cannot be."""
    if not expr.expand_final:
        return expr.arguments
    last = expr.arguments[-1]
    errors = len(evaluator.diagnostics)
    value = evaluator.value(last)
    if len(evaluator.diagnostics) > errors:
        return None
    problem = "be of a tuple, list, or set type"
    if isinstance(value.type, TupleType | ListType | SetType) or value.type == ANY:
        if not value.is_known:
            return None
        problem = "not be null"
        if not value.is_null:
            members = tuple(Literal(last.source, last.start, last.end, member) for member in value.raw)
            return expr.arguments[:-1] + members
    detail = f"The expanding argument (indicated by ...) must {problem}."
    evaluator.error("Invalid expanding argument value", detail, last)
    return None


def _count_fits(evaluator: Evaluator, expr: Call, function: Function, arguments: tuple[Expression, ...]) -> bool:
    count = len(function.params)
    if len(arguments) < count:
        at_least = " at least" if function.variadic else ""
        detail = (
            f'Function "{expr.name}" expects{at_least} {count} argument(s). Missing value for '
            f'"{function.params[len(arguments)].name}".'
        )
        evaluator.diagnostics.append(Diagnostic("Not enough function arguments", detail, expr.close_span))
        return False
    if len(arguments) > count and function.variadic is None:
        detail = f'Function "{expr.name}" expects only {count} argument(s).'
        span = first_span(arguments[count])
        evaluator.diagnostics.append(Diagnostic("Too many function arguments", detail, span))
        return False
    return True


def _parameter(function: Function, index: int) -> Parameter:
    parameter = function.parameter(index)
    assert parameter is not None, "the number of arguments was checked before"
    return parameter


def _converted(
    evaluator: Evaluator, expr: Call, function: Function, arguments: tuple[Expression, ...]
) -> list[Value] | None:
    """The arguments as the parameters want them; None if there are errors."""
    errors = len(evaluator.diagnostics)
    values = []
    for parameter, argument in zip(function.parameters(len(arguments)), arguments, strict=True):
        value = evaluator.value(argument)
        try:
            value = convert(value, parameter.type)
        except ConversionError as problem:
            _invalid_argument(evaluator, argument, parameter, str(problem))
        values.append(value)
    return values if len(evaluator.diagnostics) == errors else None


def _invalid_argument(evaluator: Evaluator, argument: Expression, parameter: Parameter, reason: str) -> None:
    detail = f'Invalid value for "{parameter.name}" parameter: {reason}.'
    evaluator.diagnostics.append(Diagnostic("Invalid function argument", detail, first_span(argument)))


def _called(function: Function, values: list[Value]) -> Value:
    for index, (parameter, value) in enumerate(zip(function.parameters(len(values)), values, strict=True)):
        if value.is_null and not parameter.takes_null:
            raise ArgumentError(index, "argument must not be null")
        if not parameter.takes_unknown and not wholly_known(value):
            return unknown()
    charge_values(*values)
    return function.call(values)


def _report_argument(
    evaluator: Evaluator, expr: Call, function: Function, arguments: tuple[Expression, ...], problem: ArgumentError
) -> None:
    argument: Expression = arguments[problem.index] if problem.index < len(arguments) else expr
    _invalid_argument(evaluator, argument, _parameter(function, problem.index), str(problem))

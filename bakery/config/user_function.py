"""Functions that bake files define: `function "name" { params = […] result = … }`."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bakery.config.definition import TEMPLATE
from bakery.config.functions import BUILTINS
from bakery.config.functions.function import Function, Parameter
from bakery.config.hcl.scope import ChildScope, Scope
from bakery.config.hcl.syntax import Block, Expression, JsonString, Tuple, functions, keyword, variables
from bakery.config.values import Value, tuple_of
from bakery.diagnostics import BakeryError, Diagnostic, did_you_mean

if TYPE_CHECKING:
    from bakery.config.hcl.syntax import Attribute

Evaluate = Callable[[Expression, Scope], Value]


def user_function(block: Block, scope: Scope, evaluate: Evaluate) -> Function:
    """The function that a block defines. Raises BakeryError for a block that defines none."""
    attributes = block.body.attributes
    params = _names(attributes["params"])
    rest = _name(attributes["variadic_params"].expr) if "variadic_params" in attributes else None
    body = attributes["result"].expr

    def call(arguments: Sequence[Value]) -> Value:
        own = dict(zip(params, arguments, strict=False))
        if rest is not None:
            own[rest] = tuple_of(arguments[len(params) :])
        return evaluate(body, ChildScope(scope, own))

    return Function(
        block.labels[0],
        tuple(_parameter(name) for name in params),
        None if rest is None else _parameter(rest),
        call,
    )


def function_problems(
    blocks: Mapping[str, Block], variables_known: Container[str], builtins: Container[str]
) -> list[Diagnostic]:
    """What is wrong with the functions of a definition, called or not: parts that lack, unknown names, cycles."""
    found: list[Diagnostic] = []
    for name, block in blocks.items():
        if name in builtins:
            continue
        try:
            found.extend(_unknown_names(name, block, blocks, variables_known, builtins))
        except BakeryError as error:
            found.extend(error.diagnostics)
    return found or function_cycles(blocks)


def _unknown_names(
    name: str, block: Block, blocks: Mapping[str, Block], variables_known: Container[str], builtins: Container[str]
) -> Iterator[Diagnostic]:
    attributes = block.body.attributes
    params, result = attributes.get("params"), attributes.get("result")
    if params is None or result is None:
        absent = "params" if result is not None else "result"
        place = params.span if params is not None else block.label_spans[0]
        yield Diagnostic("Invalid function", f"empty {absent} not allowed for {name}", place)
        return
    own = set(_names(params))
    if "variadic_params" in attributes:
        own.add(_name(attributes["variadic_params"].expr))
    for called in functions(result.expr):
        if called not in builtins and called not in blocks and called != TEMPLATE:
            near = did_you_mean(called, [*blocks, *BUILTINS])
            hint = f' Did you mean "{near}"?' if near else ""
            yield Diagnostic("Invalid expression", f'function "{called}" does not exist.{hint}', result.expr.span)
    for reference in variables(result.expr):
        if reference.name not in own and reference.name not in variables_known:
            yield Diagnostic("Invalid expression", f'variable "{reference.name}" does not exist', result.expr.span)


def function_cycles(blocks: Mapping[str, Block]) -> list[Diagnostic]:
    """Functions that would call themselves, directly or through others: each cycle once, with its whole path."""
    calls = {
        name: [called for called in functions(block.body.attributes["result"].expr) if called in blocks]
        for name, block in blocks.items()
        if "result" in block.body.attributes
    }
    found: list[Diagnostic] = []
    done: set[str] = set()
    for start in calls:
        path: dict[str, None] = {}
        todo = [(start, False)]
        while todo:
            name, leaving = todo.pop()
            if leaving:
                del path[name]
                done.add(name)
            elif name in path:
                caller = list(path)[-1]
                cycle = [*list(path)[list(path).index(name) :], name]
                detail = f"function cycle not allowed for {name}" + (f": {' → '.join(cycle)}" if len(cycle) > 2 else "")
                found.append(
                    Diagnostic("Invalid expression", detail, blocks[caller].body.attributes["result"].expr.span)
                )
            elif name not in done:
                path[name] = None
                todo.append((name, True))
                todo.extend((called, False) for called in calls.get(name, ()))
    return found


def _parameter(name: str) -> Parameter:
    return Parameter(name, takes_null=True, takes_unknown=True)


def _names(attribute: Attribute) -> list[str]:
    expr = attribute.expr
    if not isinstance(expr, Tuple):
        raise BakeryError.of("Invalid expression", "A list of parameter names is required: [a, b].", expr.span)
    return [_name(element) for element in expr.elements]


def _name(expr: Expression) -> str:
    name = expr.source.text.strip() if isinstance(expr, JsonString) else keyword(expr)
    if name is None or not name.replace("-", "_").isidentifier():
        raise BakeryError.of("Invalid param element", "Each parameter name must be an identifier.", expr.span)
    return name

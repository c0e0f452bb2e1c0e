"""The strings of `bakery.yaml`: Jinja2 texts over the same variables and functions as HCL expressions.

Only data goes in and out. The sandbox is narrower than Jinja's own: an attribute is a key of a map and nothing else, so
that no method or attribute of a Python object can be named; statements are limited to `if` and `for`; of the filters
those that work on plain data are there, and every function of the bake language.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.scope import Scope
from bakery.config.hcl.source import Source
from bakery.config.hcl.syntax import AttributeStep, Call, Expression, Literal, ScopeTraversal
from bakery.config.values import NULL, LimitError, Value, from_python, to_python, wholly_known
from bakery.diagnostics import BakeryError, Span
from bakery.values import frozen

MAX_TEXT = 1 << 20
"""Characters that a text may grow to."""

MAX_LOOPS = 2
"""`for` within `for`."""

_SELF = "self_"
"""What `self` is called while Jinja runs, which has a meaning of its own for that name."""

_RESULT = "result"

_LOOP = frozenset({"index", "index0", "first", "last", "length"})

_FILTERS = frozenset(
    {
        "abs",
        "batch",
        "capitalize",
        "d",
        "default",
        "dictsort",
        "first",
        "float",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "select",
        "selectattr",
        "slice",
        "sort",
        "string",
        "sum",
        "title",
        "trim",
        "unique",
        "upper",
    }
)

_STATEMENTS: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.If,
    nodes.For,
    nodes.Expr,
    nodes.Keyword,
    nodes.Operand,
    nodes.Pair,
)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a map; never an attribute of an object."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return builtins.getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A key of a map, an index of a list or text."""
        if isinstance(obj, dict | list | str):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def is_safe_callable(self, obj: Any) -> bool:
        """Only the functions of the bake language, and what a loop gives."""
        return isinstance(obj, _Callable)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """`*`, `**`, `+` and `%` on operands that cannot make something huge, and `%` on numbers only."""
        numeric = isinstance(left, int | float) and isinstance(right, int | float)
        if operator in ("%", "*") and not numeric:
            raise SecurityError(f"{operator} is for numbers")
        if operator == "**" and (not numeric or abs(right) > 1000 or abs(left) > 1 << 64):
            raise SecurityError("** is for numbers of a reasonable size")
        if operator == "+" and not numeric and len(left) + len(right) > MAX_TEXT:
            raise SecurityError(f"the result would be longer than {MAX_TEXT}")
        return super().call_binop(context, operator, left, right)


class _Callable:
    """A function of the bake language, called with plain data."""

    def __init__(self, name: str, scope: Scope, span: Span) -> None:
        self._name = name
        self._scope = scope
        self._span = span

    def __call__(self, *arguments: Any) -> Any:
        source = Source(self._span.file)
        literals = tuple(Literal(source, 0, 0, from_python(_data(argument))) for argument in arguments)
        try:
            return to_python(evaluate(Call(source, 0, 0, self._name, literals, False, 0, 0, 0), self._scope))
        except BakeryError as error:
            raise BakeryError(*(replace(problem, span=self._span) for problem in error.diagnostics)) from None


def _data(argument: Any) -> Any:
    if isinstance(argument, Undefined):
        argument._fail_with_undefined_error()
    return list(argument) if isinstance(argument, Iterator | range) else argument


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.globals.clear()
    environment.filters = {name: filter for name, filter in environment.filters.items() if name in _FILTERS}
    return environment


@frozen
class _Text:
    """A text that has been parsed and checked: what it is made of, and how to run it once its filters are known."""

    tree: nodes.Template
    chains: list[tuple[str, ...]]
    lone: bool


@lru_cache(maxsize=4096)
def _parsed(text: str) -> _Text:
    tree = _environment().parse(text)
    _check(tree)
    for node in tree.find_all(nodes.Name):
        if node.name == "self":
            node.name = _SELF
    return _Text(tree, _chains(tree), _is_lone_expression(tree))


@lru_cache(maxsize=4096)
def _compiled(text: str) -> tuple[frozenset[str], Template]:
    """The names that a text does not bind itself, and a template that runs it; a lone expression becomes `result`."""
    from jinja2.meta import find_undeclared_variables

    parsed = _parsed(text)
    tree = parsed.tree
    names = frozenset(find_undeclared_variables(tree))
    if parsed.lone:
        expression = next(tree.body[0].iter_child_nodes())
        assign = nodes.Assign(nodes.Name(_RESULT, "store", lineno=1), expression, lineno=1)
        tree = nodes.Template([assign], lineno=1)
        tree.set_environment(_environment())
    return names, _environment().from_string(tree)


def _lone_value(template: Template, names: dict[str, Any]) -> Any:
    context = template.new_context(names)
    for _ in template.root_render_func(context):
        pass
    return context.vars[_RESULT]


def render(text: str, scope: Scope, span: Span) -> Value:
    """The value of a text: a string, or what its only `{{ … }}` gives. Raises BakeryError at `span`."""
    try:
        parsed = _parsed(text)
        _add_filters(parsed.tree, scope, span)
        wanted, template = _compiled(text)
        names = _context(wanted, parsed, scope, span)
        if parsed.lone:
            return from_python(_data(_lone_value(template, names)))
        pieces: list[str] = []
        length = 0
        for piece in template.generate(**names):
            length += len(piece)
            if length > MAX_TEXT:
                raise SecurityError(f"the text is longer than {MAX_TEXT} characters")
            pieces.append(piece)
        return from_python("".join(pieces))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f"line {line} of the text: " if line and "\n" in text else ""
        raise BakeryError.of("Invalid template", f"{place}{error.message or type(error).__name__}", span) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, LimitError, MemoryError) as error:
        raise BakeryError.of("Invalid template", str(error) or type(error).__name__, span) from None


def _is_lone_expression(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = tree.body[0].nodes
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)


def _check(tree: nodes.Template) -> None:
    """Refuse statements that could run long or reach out."""

    def visit(node: nodes.Node, loops: int) -> None:
        if not isinstance(node, _STATEMENTS):
            raise SecurityError(f"{type(node).__name__.lower()} is not available here; if and for are")
        if isinstance(node, nodes.For):
            loops += 1
            if loops > MAX_LOOPS or node.recursive:
                raise SecurityError(f"loops may be nested {MAX_LOOPS} deep, and not be recursive")
        for child in node.iter_child_nodes():
            visit(child, loops)

    visit(tree, 0)


# --- names ---


def _context(wanted: frozenset[str], parsed: _Text, scope: Scope, span: Span) -> dict[str, Any]:
    """The values of all names that a template uses and does not bind itself."""
    calls = parsed.tree.find_all(nodes.Call)
    called = {node.node.name for node in calls if isinstance(node.node, nodes.Name)} & set(scope.function_names())
    names: dict[str, Any] = {name: _Callable(name, scope, span) for name in wanted & called}
    for chain in parsed.chains:
        if chain[0] in wanted - called:
            value = scope.variable(_reference(chain, span))
            names[chain[0]] = _merged(names.get(chain[0]), to_python(value) if wholly_known(value) else None)
    return names


def _add_filters(tree: nodes.Template, scope: Scope, span: Span) -> None:
    functions = set(scope.function_names())
    for node in tree.find_all(nodes.Filter):
        if node.name not in _FILTERS and node.name in functions:
            _environment().filters[node.name] = _Callable(node.name, scope, span)


def _chains(tree: nodes.Template) -> list[tuple[str, ...]]:
    """Every name with the attributes named after it: `target.app.tags` as a whole, for only that is worked out."""
    inner = {id(node.node) for node in tree.find_all(nodes.Getattr)}
    found: list[tuple[str, ...]] = []
    for node in tree.find_all((nodes.Name, nodes.Getattr)):
        if id(node) in inner:
            continue
        chain: list[str] = []
        at: nodes.Node = node
        while isinstance(at, nodes.Getattr):
            chain.append(at.attr)
            at = at.node
        if isinstance(at, nodes.Name):
            found.append((at.name, *reversed(chain)))
    return found


def _reference(chain: tuple[str, ...], span: Span) -> ScopeTraversal:
    start, end = span.start.offset, span.end.offset
    source = Source(span.file)
    steps = tuple(AttributeStep(source, start, end, name) for name in chain[1:])
    return ScopeTraversal(source, start, end, "self" if chain[0] == _SELF else chain[0], steps, end)


def _merged(earlier: Any, later: Any) -> Any:
    if isinstance(earlier, dict) and isinstance(later, dict):
        return {**earlier, **{key: _merged(earlier.get(key), value) for key, value in later.items()}}
    return later


def render_call(arguments: Sequence[Expression], scope: Scope) -> Value:
    """A template as a function of the bake language: its one argument is the text. See `bakery_yaml`."""
    text = evaluate(arguments[0], scope)
    return render(text.raw, scope, arguments[0].span) if isinstance(text.raw, str) else NULL

"""Short ways to evaluate expressions in tests."""

from collections.abc import Mapping

from bakery.config.functions import BUILTINS
from bakery.config.hcl.evaluate import evaluate
from bakery.config.hcl.parser import parse_expression
from bakery.config.hcl.scope import RootScope
from bakery.config.hcl.source import Source
from bakery.config.values import Value, from_python
from bakery.diagnostics import BakeryError, SourceFile


def value_of(text: str, variables: Mapping[str, object] | None = None) -> Value:
    """The value of an expression. Raises BakeryError."""
    expr, problems = parse_expression(Source(SourceFile("x", text)))
    if problems:
        raise BakeryError(*problems)
    scope = RootScope({name: from_python(data) for name, data in (variables or {}).items()}, BUILTINS)
    return evaluate(expr, scope)


def problems_of(text: str, variables: Mapping[str, object] | None = None) -> list[str]:
    """What is wrong with an expression, as lines; empty if nothing is."""
    try:
        value_of(text, variables)
    except BakeryError as error:
        return [str(diagnostic) for diagnostic in error.diagnostics]
    return []

"""Expressions to values."""

from __future__ import annotations

from bakery.config.hcl.scope import Scope
from bakery.config.hcl.syntax import Expression
from bakery.config.values import Value


def evaluate(expr: Expression, scope: Scope) -> Value:
    """The value of an expression. Raises BakeryError with every problem found in it."""
    raise NotImplementedError

"""Where an expression begins: what the peer points at when a value does not suit its attribute."""

from __future__ import annotations

from bakery.config.hcl.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    For,
    Index,
    Object,
    ObjectKey,
    Splat,
    Template,
    TemplateJoin,
    Tuple,
    Unary,
)
from bakery.diagnostics import Span


def start_span(expr: Expression) -> Span:
    """The first token of an expression that has one of its own, else the whole (`StartRange` of hashicorp/hcl)."""
    while True:
        match expr:
            case Conditional(condition=inner) | Binary(left=inner) | ObjectKey(expr=inner) | TemplateJoin(items=inner):
                expr = inner
            case Template(parts=(first, *_)):
                expr = first
            case _:
                break
    match expr:
        case Call():
            return expr.name_span
        case Tuple(open_end=end) | Object(open_end=end) | For(open_end=end):
            return expr.source.span(expr.start, end)
        case Index(open=at):
            return expr.source.span(at, at + 1)
        case Splat():
            return expr.marker_span
        case Unary(operator=operator):
            return expr.source.span(expr.start, expr.start + len(operator))
        case _:
            return expr.span

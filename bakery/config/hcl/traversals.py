"""What may follow a term: attributes, indices and splats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.config.hcl.lexer import IDENT, NUMBER, Token
from bakery.config.hcl.syntax import (
    AttributeStep,
    Expression,
    Index,
    IndexStep,
    Literal,
    RelativeTraversal,
    ScopeTraversal,
    Splat,
    SplatItem,
    Step,
    SyntaxErrorExpr,
    Template,
)
from bakery.config.values import UNKNOWN_VALUE, Value, string

if TYPE_CHECKING:
    from bakery.config.hcl.expressions import ExpressionReader

_NO_NAME = ("Invalid attribute name", "An attribute name is required after a dot.")


def read_steps(reader: ExpressionReader, term: Expression) -> Expression:
    """A term with all steps that follow it."""
    result, entered = term, 0
    while True:
        if reader.kind == ".":
            result = _after_dot(reader, term, result)
        elif reader.kind == "[":
            result = _after_bracket(reader, term, result)
        else:
            break
        if not isinstance(result, ScopeTraversal | RelativeTraversal):
            # a chain of computed indices or splats nests like brackets do
            reader.enter()
            entered += 1
    for _ in range(entered):
        reader.leave()
    return result


def _extended(reader: ExpressionReader, target: Expression, step: Step) -> Expression:
    """A traversal with one more step; one that already is a traversal is extended."""
    if isinstance(target, ScopeTraversal):
        steps = (*target.steps, step)
        return ScopeTraversal(target.source, target.start, step.end, target.name, steps, target.name_end)
    if isinstance(target, RelativeTraversal):
        return RelativeTraversal(target.source, target.start, step.end, target.target, (*target.steps, step))
    return RelativeTraversal(reader.source, target.start, step.end, target, (step,))


def _after_dot(reader: ExpressionReader, term: Expression, target: Expression) -> Expression:
    dot = reader.read()
    if reader.kind == IDENT:
        _, start, end = reader.read()
        return _extended(reader, target, AttributeStep(reader.source, dot[1], end, reader.text[start:end]))
    if reader.kind == NUMBER:
        step = _legacy_index(reader, dot, "")
        return _extended(reader, target, step)
    if reader.kind == "*":
        return _attribute_splat(reader, dot, term, target)
    reader.error(*_NO_NAME, reader.start, reader.end)
    reader.recovery = True
    return SyntaxErrorExpr(reader.source, term.start, dot[2])


def _legacy_index(reader: ExpressionReader, dot: Token, splat: str) -> IndexStep:
    """`.0`, from the days before `[0]`; `.0.0` reads as a fraction and is refused."""
    number = reader.read()
    text = reader.text[number[1] : number[2]]
    if "." not in text:
        return IndexStep(reader.source, dot[1], number[2], reader.number_value(number))
    first, _, second = text.partition(".")
    detail = (
        "When using the legacy index syntax, chaining two indexes together is not permitted. Use the proper index "
        f"syntax {splat}instead, like [{first}][{second}]."
    )
    reader.error("Invalid legacy index syntax", detail, number[1], number[2])
    return IndexStep(reader.source, dot[1], number[2], UNKNOWN_VALUE)


def _attribute_splat(reader: ExpressionReader, dot: Token, term: Expression, target: Expression) -> Expression:
    """`.*` takes the attributes that follow it from each element, but no `[…]`."""
    star = reader.read()
    first_start, last_end = reader.start, star[2]
    steps: list[Step] = []
    while reader.kind == ".":
        inner_dot = reader.read()
        if reader.kind == NUMBER:
            steps.append(_legacy_index(reader, inner_dot, "with a full splat expression [*] "))
        elif reader.kind == IDENT:
            _, start, end = reader.read()
            steps.append(AttributeStep(reader.source, inner_dot[1], end, reader.text[start:end]))
        else:
            _bad_splat_step(reader, star)
            reader.recovery = True
            return target
        last_end = steps[-1].end
    item = SplatItem(reader.source, dot[1], star[2])
    each = RelativeTraversal(reader.source, first_start, last_end, item, tuple(steps)) if steps else item
    return Splat(reader.source, term.start, last_end, target, each, item, dot[1], star[2])


def _bad_splat_step(reader: ExpressionReader, star: Token) -> None:
    if reader.recovery:
        return
    if reader.kind == "*":
        detail = "A splat expression (*) cannot be used inside another attribute-only splat expression."
        reader.error("Nested splat expression not allowed", detail, reader.start, reader.end)
    else:
        reader.error(*_NO_NAME, star[1], star[2])


def _after_bracket(reader: ExpressionReader, term: Expression, target: Expression) -> Expression:
    opener = reader.read()
    if reader.kind == "*":
        return _full_splat(reader, opener, term, target)
    reader.enter()
    reader.see_newlines(False)
    errors = len(reader.diagnostics)
    key = reader.expression()
    if reader.recovery and len(reader.diagnostics) > errors:
        close = reader.recover("]")
    else:
        close = reader.read()
        if close[0] != "]" and not reader.recovery:
            detail = 'The index operator must end with a closing bracket ("]").'
            reader.error("Missing close bracket on index", detail, close[1], close[2])
            close = reader.recover("]")
    reader.restore_newlines()
    reader.leave()
    literal = _literal_key(key)
    if literal is not None:
        return _extended(reader, target, IndexStep(reader.source, opener[1], close[2], literal))
    return Index(reader.source, term.start, close[2], target, key, opener[1])


def _literal_key(key: Expression) -> Value | None:
    match key:
        case Literal(value=value):
            return value
        case Template(parts=(Literal(value=Value(raw=str(text))),)):
            return string(text)
        case _:
            return None


def _full_splat(reader: ExpressionReader, opener: Token, term: Expression, target: Expression) -> Expression:
    """`[*]` takes all steps that follow it from each element."""
    reader.read()
    close = reader.read()
    if close[0] != "]" and not reader.recovery:
        detail = 'The star for a full splat operator must be immediately followed by a closing bracket ("]").'
        reader.error("Missing close bracket on splat index", detail, close[1], close[2])
        close = reader.recover("]")
    item = SplatItem(reader.source, opener[1], close[2])
    reader.enter()
    each = read_steps(reader, item)
    reader.leave()
    return Splat(reader.source, term.start, each.end, target, each, item, opener[1], close[2])

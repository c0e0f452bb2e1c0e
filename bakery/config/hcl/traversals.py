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
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.hcl.expressions import ExpressionReader

_NO_NAME = ("Invalid attribute name", "An attribute name is required after a dot.")


def read_steps(reader: ExpressionReader, term: Expression) -> Expression:
    """A term with all steps that follow it."""
    result, entered = term, 0
    steps: list[Step] = []  # taken from `result`, and not part of it yet
    while reader.kind in (".", "["):
        opener = reader.read()
        step = _dot_step(reader, opener) if opener[0] == "." else _bracket_step(reader, opener)
        if isinstance(step, AttributeStep | IndexStep):
            steps.append(step)
            continue
        # a chain of splats and computed indices nests like brackets do
        reader.enter()
        entered += 1
        result, steps = step.apply(reader, term, _extended(reader, result, steps)), []
    for _ in range(entered):
        reader.leave()
    return _extended(reader, result, steps)


def _extended(reader: ExpressionReader, target: Expression, steps: list[Step]) -> Expression:
    """A traversal; one of a name holds the steps itself."""
    if not steps:
        return target
    end = steps[-1].end
    if isinstance(target, ScopeTraversal):
        return ScopeTraversal(target.source, target.start, end, target.name, tuple(steps), target.name_end)
    return RelativeTraversal(reader.source, target.start, end, target, tuple(steps))


@frozen
class _ComputedIndex:
    """`[key]` with a key that is no literal."""

    opener: Token
    close: Token
    key: Expression

    def apply(self, reader: ExpressionReader, term: Expression, target: Expression) -> Expression:
        return Index(reader.source, term.start, self.close[2], target, self.key, self.opener[1])


@frozen
class _Splat:
    """`[*]` or `.*` with what is taken from each element."""

    item: SplatItem
    each: Expression
    end: int

    def apply(self, reader: ExpressionReader, term: Expression, target: Expression) -> Expression:
        item = self.item
        return Splat(reader.source, term.start, self.end, target, self.each, item, item.start, item.end)


@frozen
class _Broken:
    """A dot that no name follows."""

    dot: Token

    def apply(self, reader: ExpressionReader, term: Expression, target: Expression) -> Expression:
        return SyntaxErrorExpr(reader.source, term.start, self.dot[2])


@frozen
class _Nothing:
    """A step that could not be read and is left out."""

    def apply(self, reader: ExpressionReader, term: Expression, target: Expression) -> Expression:
        return target


def _dot_step(reader: ExpressionReader, dot: Token) -> Step | _Splat | _Broken | _Nothing:
    if reader.kind == IDENT:
        _, start, end = reader.read()
        return AttributeStep(reader.source, dot[1], end, reader.text[start:end])
    if reader.kind == NUMBER:
        return _legacy_index(reader, dot, "")
    if reader.kind == "*":
        return _attribute_splat(reader, dot)
    reader.error(*_NO_NAME, reader.start, reader.end)
    reader.recovery = True
    return _Broken(dot)


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


def _attribute_splat(reader: ExpressionReader, dot: Token) -> _Splat | _Nothing:
    """`.*` takes the attributes that follow it from each element, but no `[…]`."""
    star = reader.read()
    first_start = reader.start
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
            return _Nothing()
    item = SplatItem(reader.source, dot[1], star[2])
    if not steps:
        return _Splat(item, item, star[2])
    last_end = steps[-1].end
    return _Splat(item, RelativeTraversal(reader.source, first_start, last_end, item, tuple(steps)), last_end)


def _bad_splat_step(reader: ExpressionReader, star: Token) -> None:
    if reader.recovery:
        return
    if reader.kind == "*":
        detail = "A splat expression (*) cannot be used inside another attribute-only splat expression."
        reader.error("Nested splat expression not allowed", detail, reader.start, reader.end)
    else:
        reader.error(*_NO_NAME, star[1], star[2])


def _bracket_step(reader: ExpressionReader, opener: Token) -> Step | _ComputedIndex | _Splat:
    if reader.kind == "*":
        return _full_splat(reader, opener)
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
        return IndexStep(reader.source, opener[1], close[2], literal)
    return _ComputedIndex(opener, close, key)


def _literal_key(key: Expression) -> Value | None:
    match key:
        case Literal(value=value):
            return value
        case Template(parts=(Literal(value=Value(raw=str(text))),)):
            return string(text)
        case _:
            return None


def _full_splat(reader: ExpressionReader, opener: Token) -> _Splat:
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
    return _Splat(item, each, each.end)

"""Tuples, objects and for-expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.config.hcl.lexer import END, IDENT, NEWLINE, Token
from bakery.config.hcl.syntax import (
    Expression,
    For,
    Literal,
    Object,
    ObjectItem,
    ObjectKey,
    SyntaxErrorExpr,
    Tuple,
)
from bakery.config.values import UNKNOWN_VALUE

if TYPE_CHECKING:
    from bakery.config.hcl.expressions import ExpressionReader


def read_tuple(reader: ExpressionReader) -> Expression:
    """`[…]`, a for-expression included."""
    reader.enter()
    opener = reader.read()
    reader.see_newlines(False)
    if reader.is_word("for"):
        result = _read_for(reader, opener, "]")
    else:
        elements, close = _read_elements(reader, opener)
        result = Tuple(reader.source, opener[1], close[2], tuple(elements), opener[2])
    reader.restore_newlines()
    reader.leave()
    return result


def _read_elements(reader: ExpressionReader, opener: Token) -> tuple[list[Expression], Token]:
    elements: list[Expression] = []
    while reader.kind != "]":
        errors = len(reader.diagnostics)
        elements.append(reader.expression())
        if reader.recovery and len(reader.diagnostics) > errors:
            return elements, reader.recover("]")
        if reader.kind == "]":
            break
        if reader.kind != ",":
            _no_separator(reader, opener)
            return elements, reader.recover("]")
        reader.read()
    return elements, reader.read()


def _no_separator(reader: ExpressionReader, opener: Token) -> None:
    if reader.recovery:
        return
    if reader.kind == END:
        _unterminated(reader, opener, "tuple", "bracket")
    else:
        detail = "Expected a comma to mark the beginning of the next item."
        reader.error("Missing item separator", detail, reader.start, reader.end)


def _unterminated(reader: ExpressionReader, opener: Token, what: str, bracket: str) -> None:
    detail = (
        f"There is no corresponding closing {bracket} before the end of the file. This may be caused by incorrect "
        f"{bracket} nesting elsewhere in this file."
    )
    reader.error(f"Unterminated {what} constructor expression", detail, opener[1], opener[2])


def read_object(reader: ExpressionReader) -> Expression:
    """`{…}`, a for-expression included. Newlines separate the items of an object, but mean nothing to a `for`."""
    reader.enter()
    opener = reader.read()
    reader.see_newlines(False)
    if reader.is_word("for"):
        result = _read_for(reader, opener, "}")
    else:
        reader.see_newlines(True)
        items, close = _read_items(reader, opener)
        reader.restore_newlines()
        result = Object(reader.source, opener[1], close[2], tuple(items), opener[2])
    reader.restore_newlines()
    reader.leave()
    return result


def _read_items(reader: ExpressionReader, opener: Token) -> tuple[list[ObjectItem], Token]:
    items: list[ObjectItem] = []
    while reader.kind != "}":
        if reader.kind == NEWLINE:
            reader.read()
            continue
        if not _read_item(reader, opener, items):
            return items, reader.recover("}")
        if reader.kind == "}":
            break
        if reader.kind not in (",", NEWLINE):
            _no_item_separator(reader, opener)
            return items, reader.recover("}")
        reader.read()
    return items, reader.read()


def _read_item(reader: ExpressionReader, opener: Token, items: list[ObjectItem]) -> bool:
    """One `key = value`; False if we are lost."""
    forced = reader.kind == "("
    errors = len(reader.diagnostics)
    key = reader.expression()
    if reader.recovery and len(reader.diagnostics) > errors:
        return False
    if reader.kind not in ("=", ":"):
        _no_value(reader, opener)
        return False
    reader.read()
    errors = len(reader.diagnostics)
    value = reader.expression()
    lost = reader.recovery and len(reader.diagnostics) > errors
    if not lost or isinstance(value, SyntaxErrorExpr):
        items.append(ObjectItem(ObjectKey(reader.source, key.start, key.end, key, forced), value))
    return not lost


def _no_value(reader: ExpressionReader, opener: Token) -> None:
    if reader.recovery:
        return
    if reader.kind == END:
        _unterminated(reader, opener, "object", "brace")
        return
    if reader.kind in (NEWLINE, ","):
        summary, detail = (
            "Missing attribute value",
            'Expected an attribute value, introduced by an equals sign ("=").',
        )
    else:
        summary = "Missing key/value separator"
        detail = 'Expected an equals sign ("=") to mark the beginning of the attribute value.'
    if reader.kind == IDENT:
        detail += (
            " If you intended to given an attribute name containing periods or spaces, write the name in quotes to "
            "create a string literal."
        )
    reader.error(summary, detail, reader.start, reader.end)


def _no_item_separator(reader: ExpressionReader, opener: Token) -> None:
    if reader.recovery:
        return
    if reader.kind == END:
        _unterminated(reader, opener, "object", "brace")
    else:
        detail = "Expected a newline or comma to mark the beginning of the next attribute."
        reader.error("Missing attribute separator", detail, reader.start, reader.end)


# --- for -----------------------------------------------------------------------------------------------------------


class _Lost(Exception):
    """A for-expression cannot be read any further."""


def _read_for(reader: ExpressionReader, opener: Token, closer: str) -> Expression:
    try:
        return _for_expression(reader, opener, closer)
    except _Lost:
        close = reader.recover(closer)
        return Literal(reader.source, opener[1], close[2], UNKNOWN_VALUE)


def _for_expression(reader: ExpressionReader, opener: Token, closer: str) -> Expression:
    reader.read()
    key_name, value_name = read_for_names(reader)
    collection = _part(reader)
    if reader.kind != ":":
        _complain(reader, "For expression requires a colon after the collection expression.")
    reader.read()
    errors, key, value = len(reader.diagnostics), None, reader.expression()
    if reader.kind == "=>":
        reader.read()
        key, value = value, reader.expression()
    if reader.recovery and len(reader.diagnostics) > errors:
        raise _Lost
    ellipsis = reader.read() if reader.kind == "..." else None
    condition = None
    if reader.is_word("if"):
        reader.read()
        condition = _part(reader)
    if reader.kind == closer:
        close = reader.read()
    else:
        if not reader.recovery:
            _for_error(reader, "Extra characters after the end of the 'for' expression.", reader.start, reader.end)
        close = reader.recover(closer)
    _check_kind(reader, closer, key, value, ellipsis)
    return For(
        source=reader.source,
        start=opener[1],
        end=close[2],
        key_name=key_name,
        value_name=value_name,
        collection=collection,
        key=key,
        value=value,
        condition=condition,
        group=ellipsis is not None,
        open_end=opener[2],
        close=close[1],
    )


def read_for_names(reader: ExpressionReader) -> tuple[str | None, str]:
    """`k, v in`: the names that a for-expression gives to key (if wanted) and value."""
    key_name, value_name = None, _name(reader, "For expression requires variable name after 'for'.")
    if reader.kind == ",":
        reader.read()
        key_name = value_name
        value_name = _name(reader, "For expression requires value variable name after comma.")
    if not reader.is_word("in"):
        _complain(reader, "For expression requires the 'in' keyword after its name declarations.")
    reader.read()
    return key_name, value_name


def _name(reader: ExpressionReader, otherwise: str) -> str:
    if reader.kind != IDENT:
        _complain(reader, otherwise)
    _, start, end = reader.read()
    return reader.text[start:end]


def _part(reader: ExpressionReader) -> Expression:
    errors = len(reader.diagnostics)
    part = reader.expression()
    if reader.recovery and len(reader.diagnostics) > errors:
        raise _Lost
    return part


def _complain(reader: ExpressionReader, detail: str) -> None:
    if not reader.recovery:
        _for_error(reader, detail, reader.start, reader.end)
    raise _Lost


def _for_error(reader: ExpressionReader, detail: str, start: int, end: int) -> None:
    reader.error("Invalid 'for' expression", detail, start, end)


def _check_kind(
    reader: ExpressionReader, closer: str, key: Expression | None, value: Expression, ellipsis: Token | None
) -> None:
    """A tuple takes neither keys nor grouping, an object needs keys."""
    if closer == "}":
        if key is None:
            _for_error(reader, "Key expression is required when building an object.", value.start, value.end)
        return
    if key is not None:
        _for_error(reader, "Key expression is not valid when building a tuple.", key.start, key.end)
    if ellipsis is not None:
        detail = "Grouping ellipsis (...) cannot be used when building a tuple."
        _for_error(reader, detail, ellipsis[1], ellipsis[2])

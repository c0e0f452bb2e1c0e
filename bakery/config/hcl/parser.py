"""HCL native syntax to syntax trees: bodies of attributes and blocks, and the doors for single expressions."""

from __future__ import annotations

from bakery.config.hcl.expressions import ExpressionReader
from bakery.config.hcl.lexer import (
    CLOSE_QUOTE,
    DIRECTIVE,
    END,
    IDENT,
    INTERPOLATION,
    NEWLINE,
    OPEN_QUOTE,
    QUOTED_TEXT,
    SEQUENCE_END,
    Token,
    tokenize,
    tokenize_template,
)
from bakery.config.hcl.lexical import lexical_diagnostics
from bakery.config.hcl.literals import quoted_text
from bakery.config.hcl.source import Source
from bakery.config.hcl.stream import MAX_ERRORS, MAX_NESTING, NestingError, TooManyErrors
from bakery.config.hcl.syntax import Attribute, Block, Body, Expression, SyntaxErrorExpr, Template, TemplateWrap
from bakery.config.hcl.templates import read_template
from bakery.diagnostics import Diagnostic, SourceFile

MAX_FILE_SIZE = 10_000_000
"""Characters that a file may have."""


def parse_body(file: SourceFile) -> tuple[Body, list[Diagnostic]]:
    """A whole file. Whatever is wrong with it is in the diagnostics; the body holds what could be read."""
    source = Source(file)
    empty = Body(source, 0, 0, {}, ())
    if len(file.text) > MAX_FILE_SIZE:
        detail = f"The file has {len(file.text)} characters; the limit is {MAX_FILE_SIZE}."
        return empty, [Diagnostic("File too large", detail, source.span(0, 0))]
    reader = _start(source, tokenize(file.text))
    try:
        return reader.body(END), reader.diagnostics
    except _STOPPED as reason:
        return empty, [*reader.diagnostics, _stopped(reader, reason)]


def parse_expression(source: Source) -> tuple[Expression, list[Diagnostic]]:
    """A text that is one expression. Newlines mean nothing in it, as between parentheses."""
    reader = _start(source, tokenize(source.text))
    reader.see_newlines(False)
    try:
        expr = reader.expression()
    except _STOPPED as reason:
        return SyntaxErrorExpr(source, 0, len(source.text)), [*reader.diagnostics, _stopped(reader, reason)]
    if reader.kind != END and not reader.recovery:
        detail = "An expression was successfully parsed, but extra characters were found after it."
        reader.error("Extra characters after expression", detail, reader.start, reader.end)
    return expr, reader.diagnostics


def parse_template(source: Source) -> tuple[Expression, list[Diagnostic]]:
    """A text that is one template, as between quotes but without escapes."""
    reader = _start(source, tokenize_template(source.text))
    try:
        parts, wrapped, start, end = read_template(reader, None)
    except _STOPPED as reason:
        return SyntaxErrorExpr(source, 0, len(source.text)), [*reader.diagnostics, _stopped(reader, reason)]
    if wrapped:
        return TemplateWrap(source, start, end, parts[0]), reader.diagnostics
    return Template(source, start, end, tuple(parts)), reader.diagnostics


def _start(source: Source, tokens: list[Token]) -> BodyReader:
    return BodyReader(source, tokens, lexical_diagnostics(source, tokens))


_STOPPED = (NestingError, TooManyErrors, RecursionError)


def _stopped(reader: BodyReader, reason: Exception) -> Diagnostic:
    """Why reading stopped, and where."""
    span = reader.source.span(reader.start, reader.end)
    if isinstance(reason, TooManyErrors):
        return Diagnostic("Too many errors", f"After {MAX_ERRORS} errors, the rest was not read.", span)
    detail = f"Brackets, templates, conditionals and blocks may nest {MAX_NESTING} deep; here they nest deeper."
    return Diagnostic("Nesting too deep", detail, span)


_ITEM_REQUIRED = ("Argument or block definition required", "An argument or block definition is required here.")
_EQUALS = ' To set an argument, use the equals sign "=" to introduce the argument value.'
_UNCLOSED = (
    "Unclosed configuration block",
    "There is no closing brace for this block before the end of the file. This may be caused by incorrect brace "
    "nesting elsewhere in this file.",
)


class BodyReader(ExpressionReader):
    """Reads bodies: attributes and blocks, one a line."""

    def body(self, closer: str) -> Body:
        """Attributes and blocks through a closing token."""
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        opening = self.previous()
        while self.kind != closer:
            if self.kind == NEWLINE:
                self.read()
            elif self.kind == IDENT:
                self._item(attributes, blocks)
            else:
                self._no_item(opening)
                end = self.previous_end()
                self.recover(closer)
                return Body(self.source, opening[1], end, attributes, tuple(blocks))
        end = self.read()[2]
        return Body(self.source, opening[1], end, attributes, tuple(blocks))

    def _no_item(self, opening: Token) -> None:
        kind, start, end = self.read()
        if self.recovery:
            return
        if kind == OPEN_QUOTE:
            self.error("Invalid argument name", "Argument names must not be quoted.", start, end)
        elif kind == END:
            self.error(*_UNCLOSED, opening[1], opening[2])
        else:
            self.error(*_ITEM_REQUIRED, start, end)

    def _item(self, attributes: dict[str, Attribute], blocks: list[Block]) -> None:
        name = self.read()
        if self.kind == "=":
            attribute = self._attribute(name, one_line=False)
            earlier = attributes.setdefault(attribute.name, attribute)
            if earlier is not attribute:
                detail = (
                    f'The argument "{attribute.name}" was already set at {earlier.name_span}. Each argument may be set '
                    "only once."
                )
                self.error("Attribute redefined", detail, name[1], name[2])
        elif self.kind in (OPEN_QUOTE, "{", IDENT):
            blocks.append(self._block(name))
        else:
            self.recover_line()
            self.error(_ITEM_REQUIRED[0], _ITEM_REQUIRED[1] + _EQUALS, name[1], name[2])

    def _attribute(self, name: Token, *, one_line: bool) -> Attribute:
        """`= expression` after a name, through the newline unless the block around it is on one line."""
        self.read()
        errors = len(self.diagnostics)
        expr = self.expression()
        end = self.previous_end()
        if self._lost(errors):
            self.recover_line()
        elif not one_line:
            if self.kind in (NEWLINE, END):
                self.read()
            else:
                self._no_newline()
                self.recover_line()
        return Attribute(self.source, name[1], end, self.text[name[1] : name[2]], expr, name[1], name[2])

    def _no_newline(self) -> None:
        if self.recovery:
            return
        summary, detail = "Missing newline after argument", "An argument definition must end with a newline."
        if self.kind == ",":
            summary = "Unexpected comma after argument"
            detail = "Argument definitions must be separated by newlines, not commas. " + detail
        self.error(summary, detail, self.start, self.end)

    def _block(self, name: Token) -> Block:
        labels: list[str] = []
        places: list[tuple[int, int]] = []
        while self.kind != "{":
            if self.kind == OPEN_QUOTE:
                label, start, end = self._label()
            elif self.kind == IDENT:
                _, start, end = self.read()
                label = self.text[start:end]
            else:
                return self._no_block(name, labels, places)
            labels.append(label)
            places.append((start, end))
        self.enter()
        opener = self.read()
        body = self._block_body(opener)
        _, close_start, close_end = self.previous()
        self.leave()
        if self.kind in (NEWLINE, END):
            self.read()
        else:
            if not self.recovery:
                detail = "A block definition must end with a newline."
                self.error("Missing newline after block definition", detail, self.start, self.end)
            self.recover_line()
        return Block(
            source=self.source,
            start=name[1],
            end=close_end,
            type=self.text[name[1] : name[2]],
            labels=tuple(labels),
            body=body,
            type_range=(name[1], name[2]),
            label_ranges=tuple(places),
            open_range=(opener[1], opener[2]),
            close_range=(close_start, close_end),
        )

    def _no_block(self, name: Token, labels: list[str], places: list[tuple[int, int]]) -> Block:
        """A block header that leads to no body."""
        place = (name[1], name[2])
        detail = 'Either a quoted string block label or an opening brace ("{") is expected here.'
        if self.kind == "=":
            detail = 'The equals sign "=" indicates an argument definition, and must not be used when defining a block.'
        elif self.kind == NEWLINE:
            detail = (
                'A block definition must have block content delimited by "{" and "}", starting on the same line as the '
                "block header."
            )
        if self.kind in ("=", NEWLINE) or not self.recovery:
            self.error("Invalid block definition", detail, self.start, self.end)
        self.recover_line()
        body = Body(self.source, *place, {}, ())
        text = self.text[name[1] : name[2]]
        return Block(self.source, *place, text, tuple(labels), body, place, tuple(places), place, place)

    def _block_body(self, opener: Token) -> Body:
        if self.kind in (NEWLINE, END, "}"):
            return self.body("}")
        errors = len(self.diagnostics)
        body = self._one_line_body(opener)
        if self.kind == "}":
            self.read()
            return body
        # the reference implementation reports what follows the argument before what is wrong within it
        within = self.diagnostics[errors:]
        del self.diagnostics[errors:]
        self._no_one_line_end(opener)
        self.diagnostics += within
        self.recover("}")
        return body

    def _no_one_line_end(self, opener: Token) -> None:
        summary = "Invalid single-argument block definition"
        if self.kind == ",":
            detail = (
                "Single-line block syntax can include only one argument definition. To define multiple arguments, use "
                "the multi-line block syntax with one argument definition per line."
            )
        elif self.kind == NEWLINE:
            detail = (
                "An argument definition on the same line as its containing block creates a single-line block "
                "definition, which must also be closed on the same line. Place the block's closing brace immediately "
                "after the argument definition."
            )
        elif self.recovery:
            return
        elif self.kind == END:
            self.error(*_UNCLOSED, opener[1], opener[2])
            return
        else:
            detail = (
                "A single-line block definition must end with a closing brace immediately after its single argument "
                "definition."
            )
        self.error(summary, detail, self.start, self.end)

    def _one_line_body(self, opener: Token) -> Body:
        """The one argument of a block on one line."""
        name = self.read()
        empty = Body(self.source, opener[1], opener[2], {}, ())
        if name[0] != IDENT:
            self.recover_line()
            self.error(*_ITEM_REQUIRED, name[1], name[2])
            return empty
        if self.kind == "=":
            attribute = self._attribute(name, one_line=True)
            return Body(self.source, attribute.start, attribute.end, {attribute.name: attribute}, ())
        if self.kind in (OPEN_QUOTE, "{", IDENT):
            end = self.end
            self.recover_line()
            detail = (
                "A single-line block definition can contain only a single argument. If you meant to define argument "
                f'"{self.text[name[1] : name[2]]}", use an equals sign to assign it a value. To define a nested block, '
                "place it on a line of its own within its parent block."
            )
            self.error("Argument definition required", detail, name[1], end)
            return empty
        self.recover_line()
        self.error(_ITEM_REQUIRED[0], _ITEM_REQUIRED[1] + _EQUALS, name[1], name[2])
        return empty

    def _label(self) -> tuple[str, int, int]:
        """A quoted label and its place; templates are not allowed in it."""
        opener = self.read()
        pieces: list[str] = []
        while True:
            kind, start, end = self.read()
            if kind == CLOSE_QUOTE:
                break
            if kind == QUOTED_TEXT:
                pieces.append(quoted_text(self.source, start, end, self.diagnostics))
            elif kind in (INTERPOLATION, DIRECTIVE):
                sign = self.text[start]
                detail = (
                    f'Template sequences are not allowed in this string. To include a literal "{sign}", double it (as '
                    f'"{sign}{sign}") to escape it.'
                )
                self.error("Invalid string literal", detail, start, end)
                pieces.append(f"{sign}{{ ... }}")
                self.recover(SEQUENCE_END)
            elif kind == END:
                detail = "Unable to find the closing quote mark before the end of the file."
                self.error("Unterminated string literal", detail, start, end)
                break
            else:
                self.error("Invalid string literal", "This item is not valid in a string literal.", start, end)
                self.recover(CLOSE_QUOTE)
                break
        return "".join(pieces), opener[1], end

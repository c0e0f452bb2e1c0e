"""Tokens to expressions: recursive descent, with precedence climbing for the binary operators.

What follows a syntax error is read the way the reference implementation does, so that the same errors are reported.
"""

from __future__ import annotations

from typing import Final

from bakery.config import number
from bakery.config.hcl import templates, traversals
from bakery.config.hcl.constructors import read_object, read_tuple
from bakery.config.hcl.lexer import END, IDENT, NUMBER, OPEN_HEREDOC, OPEN_QUOTE, Token
from bakery.config.hcl.stream import TokenStream
from bakery.config.hcl.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    Literal,
    Parens,
    ScopeTraversal,
    SyntaxErrorExpr,
    Template,
    TemplateWrap,
    Unary,
)
from bakery.config.types import NUMBER as NUMBER_TYPE
from bakery.config.values import FALSE, NULL, TRUE, UNKNOWN_VALUE, Value, unknown
from bakery.config.values import number as number_value

PRECEDENCE: Final = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    ">": 4,
    "<=": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}

_WORDS: Final = {"true": TRUE, "false": FALSE, "null": NULL}


class ExpressionReader(TokenStream):
    """Reads expressions from a token stream. Errors go to `diagnostics`; what could be read is returned."""

    def expression(self) -> Expression:
        """An expression: a conditional, or what binds tighter."""
        errors = len(self.diagnostics)
        condition = self.binary(1)
        if self._lost(errors) or self.kind != "?":
            return condition
        self.enter()
        result = self._arms(condition)
        self.leave()
        return result

    def _arms(self, condition: Expression) -> Expression:
        """`? true : false` after a condition; the condition alone if they cannot be read."""
        self.read()
        errors = len(self.diagnostics)
        true = self.expression()
        if self._lost(errors):
            return condition
        if self.kind != ":":
            detail = "The conditional operator (...?...:...) requires a false expression, delimited by a colon."
            self.error("Missing false expression in conditional", detail, self.start, self.end)
            return condition
        self.read()
        errors = len(self.diagnostics)
        false = self.expression()
        if self._lost(errors):
            return condition
        return Conditional(self.source, condition.start, false.end, condition, true, false)

    def _lost(self, errors: int) -> bool:
        """Whether there are new errors, of the kind that left us at a place we do not understand."""
        return self.recovery and len(self.diagnostics) > errors

    def binary(self, least: int) -> Expression:
        """Operands joined by operators of at least this precedence; operators of one precedence bind to the left."""
        errors = len(self.diagnostics)
        left = self.operand()
        if self._lost(errors):
            return left
        while (precedence := PRECEDENCE.get(self.kind, 0)) >= least:
            operator = self.read()[0]
            errors = len(self.diagnostics)
            right = self.binary(precedence + 1)
            if self._lost(errors):
                return left
            left = Binary(self.source, left.start, right.end, operator, left, right)
        return left

    def operand(self) -> Expression:
        """A term and the attributes, indices and splats taken from it."""
        return traversals.read_steps(self, self._term())

    def _term(self) -> Expression:
        match self.kind:
            case "ident":
                return self._name()
            case "open quote" | "open heredoc":
                return self._string()
            case "number":
                token = self.read()
                return Literal(self.source, token[1], token[2], self.number_value(token))
            case "(":
                return self._parentheses()
            case "[":
                return read_tuple(self)
            case "{":
                return read_object(self)
            case "-" | "!":
                return self._unary()
        return self._no_term()

    def _no_term(self) -> Expression:
        if not self.recovery:
            if self.kind == END:
                summary, found = "Missing expression", "the end of the file"
            else:
                summary, found = "Invalid expression", "an invalid expression token"
            detail = f"Expected the start of an expression, but found {found}."
            self.error(summary, detail, self.start, self.end)
        self.recovery = True
        return Literal(self.source, self.start, self.end, UNKNOWN_VALUE)

    def _unary(self) -> Expression:
        self.enter()
        operator, start, _ = self.read()
        operand = self.operand()
        self.leave()
        return Unary(self.source, start, operand.end, operator, operand)

    def _parentheses(self) -> Expression:
        self.enter()
        _, start, _ = self.read()
        self.see_newlines(False)
        errors = len(self.diagnostics)
        inner = self.expression()
        if len(self.diagnostics) > errors:
            self.recover(")")
            self.restore_newlines()
            self.leave()
            return inner
        if self.kind != ")":
            detail = "Expected a closing parenthesis to terminate the expression."
            self.error("Unbalanced parentheses", detail, self.start, self.end)
            self.recovery = True
        close = self.read()
        self.restore_newlines()
        self.leave()
        return Parens(self.source, start, close[2], inner)

    def _name(self) -> Expression:
        token = self.read()
        if self.kind in ("(", "::"):
            return self._call(token)
        _, start, end = token
        name = self.text[start:end]
        if name in _WORDS:
            return Literal(self.source, start, end, _WORDS[name])
        return ScopeTraversal(self.source, start, end, name, (), end)

    def _string(self) -> Expression:
        self.enter()
        opener = self.read()
        parts, wrapped, _, _ = templates.read_template(self, opener)
        end = self.previous_end()
        self.leave()
        if wrapped:
            return TemplateWrap(self.source, opener[1], end, parts[0])
        return Template(self.source, opener[1], end, tuple(parts))

    def number_value(self, token: Token) -> Value:
        """The number that a token spells; unknown, with a diagnostic, if it spells none."""
        try:
            return number_value(number.parse(self.text[token[1] : token[2]]))
        except number.NumberError as problem:
            detail = "Failed to recognize the value of this number literal."
            if "supported" in str(problem):
                detail = f"{str(problem).capitalize()}."
            self.error("Invalid number literal", detail, token[1], token[2])
            return unknown(NUMBER_TYPE)

    def _call(self, name: Token) -> Expression:
        _, start, name_end = name
        opener = self.read()
        while opener[0] == "::":
            part = self.read()
            if part[0] != IDENT:
                detail = "Function scope resolution symbol :: must be followed by a function name in this scope."
                return self._no_call("Missing function name", detail, start, part)
            name_end = part[2]
            opener = self.read()
        if opener[0] != "(":
            detail = "Function selector must be followed by an open parenthesis to begin the function call."
            return self._no_call("Missing open parenthesis", detail, start, opener)
        self.enter()
        self.see_newlines(False)
        arguments, expand, close = self._arguments(start, opener)
        self.restore_newlines()
        self.leave()
        text = self.text[start:name_end]
        return Call(self.source, start, close[2], text, tuple(arguments), expand, name_end, opener[1], close[1])

    def _no_call(self, summary: str, detail: str, start: int, found: Token) -> Expression:
        self.error(summary, detail, found[1], found[2])
        self.recover_over("(")
        return SyntaxErrorExpr(self.source, start, found[2])

    def _arguments(self, start: int, opener: Token) -> tuple[list[Expression], bool, Token]:
        """Arguments up to the closing parenthesis, whether the last one is to be expanded, and the parenthesis."""
        arguments: list[Expression] = []
        while self.kind != ")":
            errors = len(self.diagnostics)
            arguments.append(self.expression())
            if self._lost(errors):
                return arguments, False, self.recover(")")
            separator = self.read()
            match separator[0]:
                case ",":
                    continue
                case ")":
                    return arguments, False, separator
                case "...":
                    return arguments, True, self._after_ellipsis(separator)
                case "end of file":
                    summary = "Unterminated function call"
                    detail = (
                        "There is no closing parenthesis for this function call before the end of the file. This may "
                        "be caused by incorrect parenthesis nesting elsewhere in this file."
                    )
                    self.error(summary, detail, start, opener[2])
                case _:
                    detail = "A comma is required to separate each function argument from the next."
                    self.error("Missing argument separator", detail, separator[1], separator[2])
            return arguments, False, self.recover(")")
        return arguments, False, self.read()

    def _after_ellipsis(self, ellipsis: Token) -> Token:
        if self.kind == ")":
            return self.read()
        if not self.recovery:
            detail = "An expanded function argument (with ...) must be immediately followed by closing parentheses."
            self.error("Missing closing parenthesis", detail, ellipsis[1], ellipsis[2])
        return self.recover(")")


# what a match statement must spell out, and the lexer defines
assert (NUMBER, IDENT, OPEN_QUOTE, OPEN_HEREDOC, END) == (
    "number",
    "ident",
    "open quote",
    "open heredoc",
    "end of file",
)

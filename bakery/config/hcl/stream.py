"""Tokens one by one, with newlines seen or not as brackets tell, and ways to go on after a syntax error."""

from __future__ import annotations

from typing import Final

from bakery.config.hcl.lexer import (
    CLOSE_HEREDOC,
    CLOSE_QUOTE,
    COMMENT,
    DIRECTIVE,
    END,
    INTERPOLATION,
    NEWLINE,
    OPEN_HEREDOC,
    OPEN_QUOTE,
    SEQUENCE_END,
    Token,
)
from bakery.config.hcl.source import Source
from bakery.diagnostics import Diagnostic

CLOSER: Final = {
    "{": "}",
    "[": "]",
    "(": ")",
    OPEN_QUOTE: CLOSE_QUOTE,
    OPEN_HEREDOC: CLOSE_HEREDOC,
    INTERPOLATION: SEQUENCE_END,
    DIRECTIVE: SEQUENCE_END,
}

_OPENER: Final = {
    "}": "{",
    "]": "[",
    ")": "(",
    CLOSE_QUOTE: OPEN_QUOTE,
    CLOSE_HEREDOC: OPEN_HEREDOC,
    SEQUENCE_END: INTERPOLATION,
}

MAX_NESTING: Final = 100
"""How deep brackets, templates, operators and conditionals may nest: the reader and the evaluator recurse."""


class NestingError(Exception):
    """The nesting limit was reached: reading stops."""


MAX_ERRORS: Final = 200
"""How many problems of one text are told."""


class TooManyErrors(Exception):
    """The limit of errors was reached: reading stops."""


class TokenStream:
    """The tokens of a source, without comments. `kind`, `start` and `end` are those of the next token.

    `recovery` is set once an error left us at a place we do not understand: most errors that follow are noise then.
    """

    def __init__(self, source: Source, tokens: list[Token], diagnostics: list[Diagnostic]) -> None:
        self.source = source
        self.text = source.text
        self.diagnostics = diagnostics
        self.recovery = False
        self._tokens = tokens
        self._newlines = [True]
        self._index = 0  # of the next token that was not read, comments and ignored newlines included
        self._depth = 0
        self._settle()

    def _settle(self) -> None:
        """Find the next token that counts, from `_index` on."""
        tokens, index, newlines = self._tokens, min(self._index, len(self._tokens) - 1), self._newlines[-1]
        while True:
            token = tokens[index]
            kind = token[0]
            if kind == COMMENT:
                # a comment to the end of the line took the newline with it
                if newlines and self.text[token[2] - 1] == "\n":
                    token = (NEWLINE, token[1], token[2])
                    break
            elif kind != NEWLINE or newlines:
                break
            index += 1
        self._after = index + 1
        self.kind, self.start, self.end = self._token = token

    def read(self) -> Token:
        """The next token; then look at the one after it."""
        token = self._token
        self._index = self._after
        self._settle()
        return token

    def previous_end(self) -> int:
        """Where the last token that was read ended."""
        return self._tokens[self._index - 1][2] if self._index else self.end

    def previous(self) -> Token:
        """The last token that was read."""
        return self._tokens[self._index - 1] if self._index else self._token

    def see_newlines(self, seen: bool) -> None:
        """From now on newlines count, or do not, until `restore_newlines`."""
        self._newlines.append(seen)
        self._settle()

    def restore_newlines(self) -> None:
        """Undo the last `see_newlines`."""
        self._newlines.pop()
        self._settle()

    def is_word(self, word: str) -> bool:
        """Whether the next token is this keyword."""
        return self.kind == "ident" and self.text[self.start : self.end] == word

    def enter(self) -> None:
        """Go one level deeper. Raises NestingError."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise NestingError

    def leave(self) -> None:
        """Come back from one level deeper."""
        self._depth -= 1

    def error(self, summary: str, detail: str, start: int, end: int) -> None:
        """Note what is wrong, and where. Raises TooManyErrors once nobody would read on."""
        if len(self.diagnostics) >= MAX_ERRORS:
            raise TooManyErrors
        self.diagnostics.append(Diagnostic(summary, detail, self.source.span(start, end)))

    def recover(self, end: str) -> Token:
        """Skip to after the closing token of the bracket we are in, nested ones included; returns it (or END)."""
        opener = _OPENER.get(end, "")
        self.recovery = True
        nested = 0
        while True:
            token = self.read()
            kind = INTERPOLATION if token[0] == DIRECTIVE and end == SEQUENCE_END else token[0]
            if kind == opener:
                nested += 1
            elif kind == end:
                if nested == 0:
                    return token
                nested -= 1
            elif kind == END:
                return token

    def recover_over(self, opener: str) -> None:
        """Skip to after the next bracket of a kind and all it holds."""
        while self.read()[0] not in (opener, END):
            pass
        self.recover(CLOSER[opener])

    def recover_line(self) -> None:
        """Skip to after the newline that ends the current attribute or block."""
        self.recovery = True
        open_brackets: list[str] = []
        while True:
            kind = self.read()[0]
            if kind == END or (kind == NEWLINE and not open_brackets):
                return
            if kind in CLOSER:
                open_brackets.append(INTERPOLATION if kind == DIRECTIVE else kind)
            elif kind in _OPENER:
                while open_brackets and open_brackets.pop() != _OPENER[kind]:
                    pass

"""From bytes to statements: lines are joined at continuations, comments taken off, words split, heredocs collected.

A statement keeps where each piece of its text stands in the file, so that any part of it can be pointed at.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from operator import itemgetter

from engine.frontends.dockerfile import heredoc as heredocs
from engine.frontends.dockerfile.directives import ESCAPES, DirectiveReader
from engine.frontends.dockerfile.expand import ExpansionError
from engine.frontends.dockerfile.gotext import SPACE
from engine.frontends.dockerfile.heredoc import Heredoc
from engine.frontends.dockerfile.source import DockerfileError
from engine.frontends.dockerfile.words import Words, split
from engine.values import frozen

MAX_LINE = 64 * 1024
_BOM = b"\xef\xbb\xbf"


Piece = tuple[int, int, int]
"""Where a piece of a statement's text comes from: offset in the text, line in the file, column (from 0) in the line."""


@frozen
class Statement:
    """One instruction's text, continuations joined, with what stood above it and the heredocs below."""

    text: str
    words: Words
    first: int
    last: int
    comments: tuple[str, ...]
    pieces: tuple[Piece, ...]
    heredocs: tuple[Heredoc, ...] = ()

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column (from 0) of a character of the text."""
        at = bisect.bisect_right(self.pieces, offset, key=itemgetter(0)) - 1
        start, line, column = self.pieces[max(at, 0)]
        return line, column + offset - start


@frozen
class Lexed:
    """A Dockerfile as statements. `empty_continuations` has the last line of each statement with blank ones inside."""

    statements: tuple[Statement, ...]
    escape: str
    empty_continuations: tuple[tuple[int, str], ...]


class _Lines:
    """The file's lines with their endings; a line that is too long ends them."""

    def __init__(self, data: bytes) -> None:
        self._rows = data.split(b"\n")
        self._at = 0
        self.line = 0
        self.too_long = False

    def next(self) -> str | None:
        """The next line, with its ending. Bytes that are no UTF-8 become surrogates."""
        if self._at >= len(self._rows) or self.too_long:
            return None
        row = self._rows[self._at]
        last = self._at == len(self._rows) - 1
        if last and not row:
            return None
        if len(row) >= MAX_LINE:
            self.too_long = True
            return None
        self._at += 1
        if self._at == 1:
            row = row.removeprefix(_BOM)
        text = row.decode("utf-8", "surrogateescape")
        return text if last else text + "\n"


def lex(data: bytes) -> Lexed:
    """The statements of a Dockerfile.

    Raises:
        DockerfileError: with the peer's message and lines.
    """
    return _Lexer(data).lex()


class _Lexer:
    def __init__(self, data: bytes) -> None:
        self.lines = _Lines(data)
        self.line = 0
        self.escape = "\\"
        self.reader = DirectiveReader()
        self.comments: list[str] = []
        self.empty: list[tuple[int, str]] = []

    def lex(self) -> Lexed:
        statements = tuple(self.statements())
        if not statements:
            raise DockerfileError("file with no instructions", (self.line, 0))
        if self.lines.too_long:
            limit = MAX_LINE - 1
            raise DockerfileError(f"dockerfile line greater than max allowed size of {limit}", (self.line, 0))
        return Lexed(statements, self.escape, tuple(self.empty))

    def statements(self) -> Iterator[Statement]:
        while (raw := self.lines.next()) is not None:
            text = raw.rstrip("\r\n")
            stripped = text.lstrip(SPACE)
            if not self.reader.done:
                self.directive(raw, stripped)
            elif stripped.startswith("#"):
                self.comment(raw)
            self.line += 1
            if not stripped or stripped.startswith("#"):
                continue
            yield self.statement(stripped, len(text) - len(stripped))
            self.comments = []

    def directive(self, raw: str, stripped: str) -> None:
        try:
            found = self.reader.read(stripped)
            if found and found.name == "escape":
                if found.value not in ESCAPES:
                    raise DockerfileError(f"invalid escape token '{found.value}' does not match ` or \\")
                self.escape = found.value
        except DockerfileError as error:
            raise error.at(self.line, 0) from None
        if found is None and stripped.startswith("#"):
            self.comment(raw)

    def comment(self, raw: str) -> None:
        text = raw[1:].strip(SPACE)
        if text:
            self.comments.append(text)
        else:
            self.comments = []

    def statement(self, stripped: str, column: int) -> Statement:
        first = self.line
        text, goes_on = self.cut(stripped)
        parts, pieces = [text], [(0, first, column)]
        size = len(text)
        blank = False
        while goes_on and (raw := self.lines.next()) is not None:
            self.line += 1
            row = raw.rstrip("\r\n")
            stripped = row.lstrip(SPACE)
            if stripped.startswith("#"):
                continue
            if not stripped:
                blank = True
                continue
            row, goes_on = self.cut(row)
            pieces.append((size, self.line, 0))
            parts.append(row)
            size += len(row)
        text = "".join(parts)
        if blank:
            self.empty.append((self.line, text))
        try:
            text.encode()
            words = split(text, self.escape)
        except DockerfileError as error:
            raise error.at(first, self.line) from None
        except UnicodeEncodeError:
            raise DockerfileError("the instruction is not valid UTF-8", (first, self.line)) from None
        docs = self.heredocs(text, first) if "<<" in text and words.takes_heredocs else ()
        return Statement(text, words, first, self.line, tuple(self.comments), tuple(pieces), docs)

    def cut(self, row: str) -> tuple[str, bool]:
        """A line without the escape at its end, and whether there was one (and not two)."""
        body = row.rstrip(" \t")
        if body.endswith(self.escape) and body[-2:-1] != self.escape:
            return body[:-1], True
        return row, False

    def heredocs(self, text: str, first: int) -> tuple[Heredoc, ...]:
        try:
            docs = heredocs.opened(text)
        except ExpansionError as error:
            raise DockerfileError(str(error), (first, self.line)) from None
        return tuple(self.filled(doc, first) for doc in docs)

    def filled(self, doc: Heredoc, first: int) -> Heredoc:
        content: list[str] = []
        while (raw := self.lines.next()) is not None:
            self.line += 1
            end = raw.rstrip("\r\n")
            if (end.lstrip("\t") if doc.chomp else end) == doc.name:
                return Heredoc(doc.name, doc.chomp, doc.expand, "".join(content))
            content.append(raw)
        raise DockerfileError("unterminated heredoc", (first, self.line))

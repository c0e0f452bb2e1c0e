"""The parts of a template, and how its `%{if}` and `%{for}` directives pair up with their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakery.config.graphemes import WHITE_SPACE
from bakery.config.hcl.syntax import Conditional, Expression, For, Literal, Template, TemplateJoin
from bakery.config.values import UNKNOWN_VALUE, string
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.hcl.lexer import Token
    from bakery.config.hcl.stream import TokenStream


class Text:
    """Literal text, in pieces not joined yet."""

    __slots__ = ("end", "pieces", "start")

    def __init__(self, start: int, end: int, pieces: list[str]) -> None:
        self.start = start
        self.end = end
        self.pieces = pieces

    @property
    def text(self) -> str:
        """The pieces joined."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0]

    def rstrip(self) -> None:
        """Drop white space at the end, as `${~` asks."""
        self.pieces = [self.text.rstrip(WHITE_SPACE)]


@frozen
class Interpolation:
    """`${expr}`."""

    start: int
    end: int
    expr: Expression


@frozen
class IfMark:
    """`%{if condition}`."""

    start: int
    end: int
    condition: Expression


@frozen
class ForMark:
    """`%{for k, v in collection}`."""

    start: int
    end: int
    key_name: str | None
    value_name: str
    collection: Expression


@frozen
class EndMark:
    """`%{else}`, `%{endif}` or `%{endfor}`."""

    start: int
    end: int
    word: str


Part = Text | Interpolation | IfMark | ForMark | EndMark

_UNBALANCED = "The control directives within this template are unbalanced."


def pair_up(reader: TokenStream, parts: Sequence[Part], end: Token) -> list[Expression]:
    """The expressions that a template consists of. Reports directives that do not pair up."""
    pairing = _Pairing(reader, parts, end)
    expressions = []
    while pairing.at < len(parts):
        expressions.append(pairing.next())
    return expressions


class _Pairing:
    def __init__(self, reader: TokenStream, parts: Sequence[Part], end: Token) -> None:
        self.reader = reader
        self.parts = parts
        self.end = end
        self.at = 0

    def next(self) -> Expression:
        part = self.parts[self.at]
        self.at += 1
        match part:
            case Text():
                return Literal(self.reader.source, part.start, part.end, string(part.text))
            case Interpolation(expr=expr):
                return expr
            case IfMark():
                return self._nested(part)
            case ForMark():
                return self._nested(part)
            case EndMark():
                return self._unexpected(part, _UNBALANCED)

    def _nested(self, part: IfMark | ForMark) -> Expression:
        self.reader.enter()
        result = self._if(part) if isinstance(part, IfMark) else self._for(part)
        self.reader.leave()
        return result

    def _if(self, opener: IfMark) -> Expression:
        source = self.reader.source
        place = source.span(opener.start, opener.end)
        arms: list[list[Expression]] = [[], []]
        has_else = False
        while True:
            mark = self._content(arms[has_else])
            if mark is None:
                return self._unfinished(f"The if directive at {place} is missing its corresponding endif directive.")
            if mark.word == "else" and not has_else:
                has_else = True
                continue
            if mark.word == "else":
                return self._unexpected(mark, f"Already in the else clause for the if started at {place}.")
            if mark.word != "endif":
                return self._unexpected(mark, f"Expecting an endif directive for the if started at {place}.")
            true = self._template(arms[0], opener.end)
            false = self._template(arms[1], mark.start)
            return Conditional(source, opener.start, mark.end, opener.condition, true, false)

    def _for(self, opener: ForMark) -> Expression:
        source = self.reader.source
        place = source.span(opener.start, opener.end)
        content: list[Expression] = []
        mark = self._content(content)
        if mark is None:
            return self._unfinished(f"The for directive at {place} is missing its corresponding endfor directive.")
        if mark.word == "else":
            return self._unexpected(mark, "An else clause is not expected for a for directive.")
        if mark.word != "endfor":
            detail = f"Expecting an endfor directive corresponding to the for directive at {place}."
            return self._unexpected(mark, detail)
        items = For(
            source=source,
            start=opener.start,
            end=mark.end,
            key_name=opener.key_name,
            value_name=opener.value_name,
            collection=opener.collection,
            key=None,
            value=self._template(content, opener.end),
            condition=None,
            group=False,
            open_end=opener.end,
            close=mark.start,
        )
        return TemplateJoin(source, opener.start, mark.end, items)

    def _content(self, into: list[Expression]) -> EndMark | None:
        """Collect expressions up to the next end mark that is not within another directive; None at the end."""
        while self.at < len(self.parts):
            part = self.parts[self.at]
            if isinstance(part, EndMark):
                self.at += 1
                return part
            into.append(self.next())
        return None

    def _template(self, parts: list[Expression], empty_at: int) -> Template:
        """What is between two marks; if there is nothing, the empty string at an offset."""
        source = self.reader.source
        if not parts:
            parts = [Literal(source, empty_at, empty_at, string(""))]
        return Template(source, parts[0].start, parts[-1].end, tuple(parts))

    def _unexpected(self, mark: EndMark, detail: str) -> Expression:
        self.reader.error(f"Unexpected {mark.word} directive", detail, mark.start, mark.end)
        return Literal(self.reader.source, mark.start, mark.end, UNKNOWN_VALUE)

    def _unfinished(self, detail: str) -> Expression:
        _, start, end = self.end
        self.reader.error("Unexpected end of template", detail, start, end)
        return Literal(self.reader.source, start, end, UNKNOWN_VALUE)

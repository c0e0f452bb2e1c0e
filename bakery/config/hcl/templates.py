"""Templates: literal text with `${…}` interpolations and `%{…}` directives, in quotes, heredocs and JSON strings.

Reading takes two passes, as in the reference implementation: tokens become a flat list of parts, with white space
trimmed where `~` says so; then the directives among the parts are paired up into conditionals and loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.config.graphemes import WHITE_SPACE
from bakery.config.hcl import directives
from bakery.config.hcl.directives import EndMark, ForMark, IfMark, Interpolation, Part, Text
from bakery.config.hcl.heredoc import strip_indent
from bakery.config.hcl.lexer import (
    CLOSE_QUOTE,
    DIRECTIVE,
    END,
    IDENT,
    INTERPOLATION,
    OPEN_QUOTE,
    QUOTED_TEXT,
    SEQUENCE_END,
    TEXT,
    Token,
)
from bakery.config.hcl.literals import plain_text, quoted_text
from bakery.config.hcl.stream import CLOSER
from bakery.diagnostics import did_you_mean

if TYPE_CHECKING:
    from bakery.config.hcl.expressions import ExpressionReader
    from bakery.config.hcl.syntax import Expression


def read_template(reader: ExpressionReader, opener: Token | None) -> tuple[list[Expression], bool, int, int]:
    """The parts of a template after its opening token (None: up to the end of the text), through its closing one.

    Returns the parts, whether there is only one interpolation and nothing else, and the offsets of the content.
    """
    closer = CLOSER[opener[0]] if opener else END
    start = reader.start
    parts, end = _PartReader(reader, closer).read()
    if opener and opener[0] != OPEN_QUOTE and reader.text.startswith("<<-", opener[1]):
        strip_indent(parts)
    _meld(parts)
    expressions = directives.pair_up(reader, parts, end)
    return expressions, len(parts) == 1 and isinstance(parts[0], Interpolation), start, end[2]


def _meld(parts: list[Part]) -> None:
    """Make one of each run of literal texts."""
    melded: list[Part] = []
    for part in parts:
        last = melded[-1] if melded else None
        if isinstance(part, Text) and isinstance(last, Text):
            last.pieces.append(part.text)
            last.end = part.end
        else:
            melded.append(part)
    parts[:] = melded


class _PartReader:
    """Reads tokens up to a closer into parts."""

    def __init__(self, reader: ExpressionReader, closer: str) -> None:
        self.reader = reader
        self.closer = closer
        self.trim_next = False
        self.start: Token = ("", 0, 0)

    def read(self) -> tuple[list[Part], Token]:
        """The parts, and the closing token."""
        reader = self.reader
        self.start = (reader.kind, reader.start, reader.end)
        parts: list[Part] = []
        while (token := reader.read())[0] != self.closer:
            trim, self.trim_next = self.trim_next, False
            if token[0] in (TEXT, QUOTED_TEXT):
                parts.append(self._text(token, trim))
            elif token[0] in (INTERPOLATION, DIRECTIVE):
                if token[2] - token[1] == 3 and parts and isinstance(parts[-1], Text):
                    parts[-1].rstrip()
                reader.see_newlines(False)
                part = self._interpolation(token) if token[0] == INTERPOLATION else self._directive(token)
                reader.restore_newlines()
                if part is not None:
                    parts.append(part)
            else:
                if not reader.recovery:
                    detail = "No closing marker was found for the string."
                    reader.error("Unterminated template string", detail, token[1], token[2])
                token = reader.recover(self.closer)
                break
        if not parts:
            # the empty template: no characters right after the opening quote
            parts.append(Text(self.start[2], self.start[2], [""]))
        return parts, token

    def _text(self, token: Token, trim: bool) -> Text:
        kind, start, end = token
        reader = self.reader
        if kind == QUOTED_TEXT:
            text = quoted_text(reader.source, start, end, reader.diagnostics)
        else:
            text = plain_text(reader.text[start:end])
        return Text(start, end, [text.lstrip(WHITE_SPACE) if trim else text])

    def _interpolation(self, opener: Token) -> Part:
        reader = self.reader
        expr = reader.expression()
        end = reader.end
        if reader.kind == SEQUENCE_END:
            self._close()
        else:
            if not reader.recovery:
                self._unclosed()
            reader.recover(SEQUENCE_END)
        return Interpolation(opener[1], end, expr)

    def _close(self) -> None:
        _, start, end = self.reader.read()
        self.trim_next = end - start == 2

    def _unclosed(self) -> None:
        reader = self.reader
        summary = "Unclosed template interpolation sequence"
        detail = (
            "There is no closing brace for this interpolation sequence before the end of the {}. This might be caused "
            "by incorrect nesting inside the given expression."
        )
        escape = 'you can escape it by starting with "$${" instead of just "${".'
        if reader.kind == END:
            reader.error(summary, detail.format("file"), self.start[1], self.start[2])
        elif reader.kind in (OPEN_QUOTE, CLOSE_QUOTE) and self.closer == CLOSE_QUOTE:
            reader.error(summary, detail.format("quoted template"), self.start[1], self.start[2])
        elif reader.kind == ":":
            reader.error(
                "Extra characters after interpolation expression",
                "Template interpolation doesn't expect a colon at this location. Did you intend this to be a literal "
                f"sequence to be processed as part of another language? If so, {escape}",
                reader.start,
                reader.end,
            )
        else:
            reader.error(
                "Extra characters after interpolation expression",
                "Expected a closing brace to end the interpolation expression, but found extra characters.\n\nThis can "
                "happen when you include interpolation syntax for another language, such as shell scripting, but "
                "forget to escape the interpolation start token. If this is an embedded sequence for another language, "
                'escape it by starting with "$${" instead of just "${".',
                reader.start,
                reader.end,
            )

    def _directive(self, opener: Token) -> Part | None:
        """A directive; None if it cannot be read."""
        reader = self.reader
        if reader.kind != IDENT:
            detail = 'A template directive keyword ("if", "for", etc) is expected at the beginning of a %{ sequence.'
            self._skip("Invalid template directive", detail)
            return None
        _, start, end = reader.read()
        word = reader.text[start:end]
        part: Part | None
        match word:
            case "if":
                condition = reader.expression()
                part = IfMark(opener[1], reader.end, condition)
            case "for":
                part = self._for(opener)
                if part is None:
                    return None
            case "else" | "endif" | "endfor":
                part = EndMark(opener[1], reader.end, word)
            case _:
                near = did_you_mean(word, ["if", "for", "else", "endif", "endfor"])
                hint = f' Did you mean "{near}"?' if near else ""
                detail = f'"{word}" is not a valid template control keyword.{hint}'
                self._skip("Invalid template control keyword", detail, (start, end))
                return None
        if reader.kind == SEQUENCE_END:
            self._close()
        else:
            if not reader.recovery:
                detail = "Expected a closing brace to end the sequence, but found extra characters."
                reader.error(f"Extra characters in {word} marker", detail, reader.start, reader.end)
            reader.recover(SEQUENCE_END)
        return part

    def _for(self, opener: Token) -> ForMark | None:
        reader = self.reader
        names: list[str] = []
        for position in ("'for'", "comma"):
            if reader.kind != IDENT:
                variable = "value variable" if names else "variable"
                self._skip("Invalid 'for' directive", f"For directive requires {variable} name after {position}.")
                return None
            _, start, end = reader.read()
            names.append(reader.text[start:end])
            if reader.kind != "," or len(names) == 2:
                break
            reader.read()
        if not reader.is_word("in"):
            self._skip("Invalid 'for' directive", "For directive requires 'in' keyword after names.")
            return None
        reader.read()
        collection = reader.expression()
        key_name = names[0] if len(names) == 2 else None
        return ForMark(opener[1], reader.end, key_name, names[-1], collection)

    def _skip(self, summary: str, detail: str, place: tuple[int, int] | None = None) -> None:
        """Report the next token (or a place) and go on after the end of the sequence."""
        reader = self.reader
        if not reader.recovery:
            reader.error(summary, detail, *(place or (reader.start, reader.end)))
        reader.recover(SEQUENCE_END)

"""Text to tokens. A token is (kind, start, end); the kind of a punctuation is its own text.

The scanner follows the reference implementation's token rules (hashicorp/hcl `scan_tokens.rl`): outside templates one
master regular expression, within quoted strings, heredocs and bare templates one each, and a stack that remembers
which template a `}` returns to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

Token = tuple[str, int, int]

IDENT: Final = "ident"
NUMBER: Final = "number"
NEWLINE: Final = "newline"
COMMENT: Final = "comment"
OPEN_QUOTE: Final = "open quote"
CLOSE_QUOTE: Final = "close quote"
OPEN_HEREDOC: Final = "open heredoc"
CLOSE_HEREDOC: Final = "close heredoc"
QUOTED_TEXT: Final = "quoted text"
QUOTED_NEWLINE: Final = "quoted newline"
TEXT: Final = "text"
INTERPOLATION: Final = "${"
DIRECTIVE: Final = "%{"
SEQUENCE_END: Final = "sequence end"
INVALID: Final = "invalid"
BAD_ENCODING: Final = "bad encoding"
END: Final = "end of file"

# Whether a character beyond ASCII belongs to an identifier is looked at afterwards, which the limit of its length keeps
# from taking quadratic time.
# The classes name the ASCII that they leave out: one with a range up to U+10FFFF takes ten times as long to compile.
_START = r"[^\x00-@\[-^`{-\x7f]"
_PART = r"[^\x00-,./:-@\[-^`{-\x7f]"

_MAIN = re.compile(
    rf"""[ \t]*(?:
      (?P<ident>{_START}{_PART}{{0,1023}})
    | (?P<newline>\r?\n)
    | (?P<number>[0-9](?:[0-9]|\.+(?=[0-9]|[eE][+-]?[0-9])|[eE][+-]?[0-9])*)
    | (?P<quote>")
    | (?P<comment>\#[^\n]*\n?|//[^\n]*\n?)
    | (?P<long_comment>/\*)
    | (?P<heredoc><<-?(?={_START})(?P<marker>{_PART}+)\r?\n)
    | (?P<open>\{{)
    | (?P<close>~?\}})
    | (?P<symbol>==|!=|>=|<=|&&|\|\||::|\.\.\.|=>|[][().,*/%+\-=<>!?:&|~^;`'])
    | (?P<other>.)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)

_QUOTED = re.compile(
    r"""(?P<sequence>[$%]\{~?)
    | (?P<quote>")
    | (?P<text>\$\$\{~?|%%\{~?|[$%](?=[^{])|(?:\\[^\r\n]|[^$%"\\\r\n])+)
    | (?P<newline>[\r\n]+)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)

# A lone carriage return is a character like any other here; the reference scanner would give up on the whole rest.
_LINE = re.compile(
    r"""(?P<sequence>[$%]\{~?)
    | (?P<text>(?:\$\$\{~?|%%\{~?|[$%](?!\{)|(?:[^$%\n\r]|\r(?!\n))*)(?P<newline>\r?\n)?)""",
    re.VERBOSE | re.DOTALL,
)


def tokenize(text: str) -> list[Token]:
    """The tokens of a body or an expression, ending with END."""
    return _Scanner(text).scan(1 if text.startswith("\ufeff") else 0)


def tokenize_template(text: str) -> list[Token]:
    """The tokens of a bare template, ending with END."""
    return _Scanner(text, templates=[_Template(quoted=False)]).scan(0)


class _Template:
    """A template being scanned: within quotes, or lines up to a marker (a bare template has none, and no end)."""

    __slots__ = ("line_start", "marker", "quoted")

    def __init__(self, quoted: bool, marker: str | None = None) -> None:
        self.quoted = quoted
        self.marker = marker
        self.line_start = True


class _Scanner:
    """Scans with explicit stacks: how deep things may nest is for the parser to limit.

    `templates` are the templates we are in; `returns` the brace depths at which a `}` ends a sequence in one of them.
    While there are more templates than returns, the text is that of a template, else it is code.
    """

    def __init__(self, text: str, templates: Sequence[_Template] = ()) -> None:
        self.text = text
        self.tokens: list[Token] = []
        self.templates = list(templates)
        self.returns: list[int] = []
        self.braces = 0
        self.no_comment_end = False

    def scan(self, at: int) -> list[Token]:
        size = len(self.text)
        while at < size:
            if len(self.templates) == len(self.returns):
                at = self._code(at)
            elif self.templates[-1].quoted:
                at = self._quoted(at)
            else:
                at = self._line(at)
        self.tokens.append((END, size, size))
        return self.tokens

    def _code(self, at: int) -> int:
        """Code up to where a template begins or goes on, or to the end of the text."""
        text, match_at, emit = self.text, _MAIN.match, self.tokens.append
        while True:
            match = match_at(text, at)
            assert match is not None
            kind = match.lastgroup
            assert kind is not None
            start, end = match.span(kind)
            at = end
            if kind == "symbol":
                emit((text[start:end], start, end))
            elif kind in _PLAIN:
                emit((kind, start, end))
            elif kind == "ident":
                at = self._identifier(start, end)
            elif kind == "open":
                emit(("{", start, end))
                self.braces += 1
            elif kind == "close":
                if self._close(start, end):
                    return at
            elif kind == "quote":
                emit((OPEN_QUOTE, start, end))
                self.templates.append(_Template(quoted=True))
                return at
            elif kind == "heredoc":
                emit((OPEN_HEREDOC, start, end))
                self.templates.append(_Template(quoted=False, marker=match["marker"]))
                return at
            elif kind == "long_comment":
                at = self._long_comment(start)
            elif kind == "other":
                emit((_strange(text[start]), start, end))
            else:
                return end

    def _identifier(self, start: int, end: int) -> int:
        word = self.text[start:end]
        if not word.isascii():
            length = _identifier_length(word)
            if length == 0:
                self.tokens.append((_strange(word[0]), start, start + 1))
                return start + 1
            end = start + length
        self.tokens.append((IDENT, start, end))
        return end

    def _close(self, start: int, end: int) -> bool:
        """A closing brace; True if it ends a template sequence and the template goes on."""
        ends_sequence = bool(self.returns) and self.returns[-1] == self.braces
        self.braces -= 1
        # `~}` that closes nothing is still a sequence end: the parser then says so
        self.tokens.append((SEQUENCE_END if ends_sequence or end - start == 2 else "}", start, end))
        if ends_sequence:
            self.returns.pop()
        return ends_sequence

    def _long_comment(self, start: int) -> int:
        end = -1 if self.no_comment_end else self.text.find("*/", start + 2)
        if end < 0:
            self.no_comment_end = True
            self.tokens.append(("/", start, start + 1))
            return start + 1
        self.tokens.append((COMMENT, start, end + 2))
        return end + 2

    def _open_sequence(self, start: int, end: int) -> None:
        self.tokens.append((INTERPOLATION if self.text[start] == "$" else DIRECTIVE, start, end))
        self.braces += 1
        self.returns.append(self.braces)
        self.templates[-1].line_start = False

    def _quoted(self, at: int) -> int:
        match = _QUOTED.match(self.text, at)
        assert match is not None
        start, end = match.span()
        match match.lastgroup:
            case "sequence":
                self._open_sequence(start, end)
            case "quote":
                self.tokens.append((CLOSE_QUOTE, start, end))
                self.templates.pop()
            case "text":
                self.tokens.append((QUOTED_TEXT, start, end))
            case "newline":
                self.tokens.append((QUOTED_NEWLINE, start, end))
            case _:
                self.tokens.append((_strange(self.text[start]), start, end))
        return end

    def _line(self, at: int) -> int:
        """A line of a heredoc or bare template, or what there is of it before the next sequence."""
        match = _LINE.match(self.text, at)
        assert match is not None
        start, end = match.span()
        if match.lastgroup == "sequence":
            self._open_sequence(start, end)
            return end
        template, newline = self.templates[-1], match.start("newline")
        if newline >= 0 and template.line_start and self.text[start:newline].strip() == template.marker:
            self.tokens += [(CLOSE_HEREDOC, start, newline), (NEWLINE, newline, end)]
            self.templates.pop()
            return end
        template.line_start = newline >= 0
        self.tokens.append((TEXT, start, end))
        return end


_PLAIN: Final = frozenset({NEWLINE, NUMBER, COMMENT})


def _strange(character: str) -> str:
    """The kind of a character with no meaning; lone surrogates stand for bytes that are not UTF-8."""
    return BAD_ENCODING if "\ud800" <= character <= "\udfff" else INVALID


def _identifier_length(word: str) -> int:
    """How much of a word, not all ASCII, is an identifier (Unicode ID_Start, then ID_Continue and dashes)."""
    if not (word[0] == "_" or word[0].isidentifier()):
        return 0
    for length, character in enumerate(word):
        if character != "-" and not ("a" + character).isidentifier():
            return length
    return len(word)

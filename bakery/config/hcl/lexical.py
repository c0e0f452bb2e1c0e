"""Diagnostics for tokens that no grammar rule takes, told once before parsing rather than wherever they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import Final

from bakery.config.hcl.lexer import BAD_ENCODING, INVALID, QUOTED_NEWLINE, Token
from bakery.config.hcl.source import Source
from bakery.config.hcl.stream import MAX_ERRORS
from bakery.diagnostics import Diagnostic

_BITWISE: Final = {
    "&": ' Did you mean boolean AND ("&&")?',
    "|": ' Did you mean boolean OR ("||")?',
    "~": ' Did you mean boolean NOT ("!")?',
    "^": "",
}

_CURLY: Final = (
    '"Curly quotes" are not valid here. These can sometimes be inadvertently introduced when sharing code via '
    'documents or discussion forums. It might help to replace the character with a "straight quote".'
)

_MESSAGES: Final = {
    "`": (
        "Invalid character",
        'The "`" character is not valid. To create a multi-line string, use the "heredoc" syntax, like "<<EOT".',
    ),
    "'": ("Invalid character", 'Single quotes are not valid. Use double quotes (") to enclose strings.'),
    ";": (
        "Invalid character",
        'The ";" character is not valid. Use newlines to separate arguments and blocks, and commas to separate items '
        "in collection values.",
    ),
    BAD_ENCODING: (
        "Invalid character encoding",
        "All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your editor.",
    ),
    QUOTED_NEWLINE: (
        "Invalid multi-line string",
        "Quoted strings may not be split over multiple lines. To produce a multi-line string, either use the \\n "
        'escape to represent a newline character or use the "heredoc" multi-line template syntax.',
    ),
    INVALID: ("Invalid character", "This character is not used within the language."),
}

_STRANGE: Final = frozenset(_MESSAGES) | frozenset(_BITWISE)

_TOLD: Final[dict[str, Container[int]]] = {
    "bitwise": range(4),
    "`": (0, 2),  # the first and the third: an opening and a closing one would be told twice
    "'": (0, 2),
    ";": range(1),
    BAD_ENCODING: range(1),
    QUOTED_NEWLINE: range(100),
    INVALID: range(100),
}
"""Which occurrences of each kind of trouble are worth telling."""


def lexical_diagnostics(source: Source, tokens: Sequence[Token]) -> list[Diagnostic]:
    """What is wrong with the characters of a text."""
    seen: Counter[str] = Counter()
    found = []
    for kind, start, end in tokens:
        if kind in _STRANGE:
            group = "bitwise" if kind in _BITWISE else kind
            if seen[group] in _TOLD[group]:
                found.append(Diagnostic(*_message(kind, source.text[start:end]), source.span(start, end)))
            seen[group] += 1
            if len(found) == MAX_ERRORS:
                break
    return found


def _message(kind: str, text: str) -> tuple[str, str]:
    if kind in _BITWISE:
        return "Unsupported operator", f"Bitwise operators are not supported.{_BITWISE[kind]}"
    if kind == INVALID and text in ("\u201c", "\u201d"):
        return "Invalid character", _CURLY
    return _MESSAGES[kind]

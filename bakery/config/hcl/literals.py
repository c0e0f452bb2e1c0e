"""The text of string literals: escape sequences, and what may be wrong with them."""

from __future__ import annotations

import re
from typing import Final

from bakery.config.hcl.source import Source
from bakery.diagnostics import Diagnostic

_QUOTED_PIECE = re.compile(r"\\u[0-9a-fA-F]{0,4}|\\U[0-9a-fA-F]{0,8}|\\[^uU]?|\$\$\{|%%\{|[$%]|[^\\$%]+", re.DOTALL)

_SIMPLE: Final = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\", "$${": "${", "%%{": "%{"}

_SUMMARY: Final = "Invalid escape sequence"


def plain_text(text: str) -> str:
    """The meaning of text in a heredoc or bare template: only `$${` and `%%{` are escapes."""
    return text.replace("$${", "${").replace("%%{", "%{")


def quoted_text(source: Source, start: int, end: int, diagnostics: list[Diagnostic]) -> str:
    """The meaning of text between quotes. Appends a diagnostic for each escape that is none."""
    text = source.text[start:end]
    if "\\" not in text:
        return plain_text(text)
    pieces = []
    for match in _QUOTED_PIECE.finditer(text):
        piece = match[0]
        meaning = _SIMPLE.get(piece)
        if meaning is None:
            meaning, wrong = _escape(piece) if piece[0] == "\\" else (piece, None)
            if wrong is not None:
                span = source.span(start + match.start(), start + match.end())
                diagnostics.append(Diagnostic(_SUMMARY, wrong, span))
        pieces.append(meaning)
    return "".join(pieces)


def _escape(piece: str) -> tuple[str, str | None]:
    """What a backslash sequence other than the simple ones means, and what is wrong with it."""
    if len(piece) < 2:
        return piece, "Backslash must be followed by an escape sequence selector character."
    selector, digits = piece[1], piece[2:]
    if selector == "u" and len(digits) != 4:
        return piece, "The \\u escape sequence must be followed by four hexadecimal digits."
    if selector == "U" and len(digits) != 8:
        return piece, "The \\U escape sequence must be followed by eight hexadecimal digits."
    if selector not in "uU":
        return piece[1:], f'The symbol "{selector}" is not a valid escape sequence selector.'
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return piece, f"Cannot encode character U+{code:04x} in UTF-8."
    return chr(code), None

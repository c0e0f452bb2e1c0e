"""Text as a reader sees it: user-perceived characters and white space, by the Unicode standard as Go implements it."""

from __future__ import annotations

from typing import Final

WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with the White_Space property (Python's `str.strip` takes four separators more)."""


def graphemes(text: str) -> list[str]:
    """The extended grapheme clusters (UAX 29) of a text."""
    if text.isascii() and "\r" not in text:
        return list(text)
    import regex

    return regex.findall(r"\X", text)


def grapheme_length(text: str) -> int:
    """The number of extended grapheme clusters."""
    if text.isascii() and "\r" not in text:
        return len(text)
    return len(graphemes(text))

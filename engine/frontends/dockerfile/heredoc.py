"""Heredocs: `<<EOF`, `<<-EOF`, `<<"EOF"`, several on a line."""

from __future__ import annotations

import re

from engine.frontends.dockerfile.expand import NOTHING, Expander, ExpansionError
from engine.values import frozen

_FORM = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
# Heredoc words are lexed with a backslash, whatever the file's escape directive says.
_LINE = Expander(keep_quotes=True, keep_escapes=True, keep_unset=True)
_NAME = Expander(keep_unset=True)
_RAW_NAME = Expander(keep_quotes=True, keep_unset=True)


@frozen
class Heredoc:
    """A heredoc: its name, whether `<<-` takes leading tabs off, whether variables are replaced (name unquoted)."""

    name: str
    chomp: bool
    expand: bool
    content: str = ""

    @property
    def text(self) -> str:
        """The content without leading tabs, if they are taken off."""
        return _LEADING_TABS.sub("", self.content) if self.chomp else self.content


def parse_word(word: str) -> Heredoc | None:
    """The heredoc that a word opens, if it does.

    Raises:
        ExpansionError: if its name cannot be lexed.
    """
    match = _FORM.fullmatch(word)
    if match is None or not match[3]:
        return None
    names = _NAME.words(match[3], NOTHING)
    if len(names) != 1:
        return None
    raw = _RAW_NAME.words(match[3], NOTHING)
    if len(raw) != 1:
        raise ExpansionError(f"internal lexing of heredoc produced inconsistent results: {match[3]}")
    return Heredoc(names[0], match[2] == "-", _quotes(names[0]) == _quotes(raw[0]))


def try_word(word: str) -> Heredoc | None:
    """The heredoc that a word opens; None also where its name cannot be lexed."""
    try:
        return parse_word(word)
    except ExpansionError:
        return None


def opened(line: str) -> list[Heredoc]:
    """The heredocs that a line opens, in order, still without content. Raises ExpansionError."""
    try:
        words = _LINE.words(line, NOTHING)
    except ExpansionError:
        return []
    return [heredoc for word in words if (heredoc := parse_word(word)) is not None]


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')

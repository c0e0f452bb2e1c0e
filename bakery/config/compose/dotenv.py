"""`.env` files: `NAME=value` lines with quotes, comments and references to what is known already."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakery.config.compose.interpolate import substitute
from bakery.config.hcl.source import BOM, Source
from bakery.diagnostics import BakeryError, SourceFile

_SPACE = r"[ \t\v\f\r\x85\xa0]"
_NAME = re.compile(rf"(?:export{_SPACE}+)?(?P<name>[\w.\[\]-]+){_SPACE}*(?P<sign>[=:]?){_SPACE}*")
_QUOTED = re.compile(r"""'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)\"""", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:([abfnrtv$"\\])|0([0-7]{1,3}))')
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}


def parse_dotenv(file: SourceFile, env: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file. Values without or in double quotes may refer to `env` and to earlier lines.

    A name without value takes it from `env`, or is left out. What follows a closing quote is read like a line of its
    own, as in the peer. Raises BakeryError for a line that is none of this.
    """
    return _Reader(file, env).read()


class _Reader:
    def __init__(self, file: SourceFile, env: Mapping[str, str]) -> None:
        self.source = Source(file)
        self.text = file.text
        self.env = env
        self.at = len(BOM) if file.text.startswith(BOM) else 0
        self.found: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        while self._skip_blanks():
            if self.text[self.at] == "#":
                self.at = self._line_end()
            else:
                self._variable()
        return self.found

    def _skip_blanks(self) -> bool:
        """Whether there is more to come."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    def _line_end(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def _variable(self) -> None:
        start, end = self.at, self._line_end()
        match = _NAME.match(self.text, start, end)
        if match is None or (not match["sign"] and match.end() < end):
            shown = self.text[start:end].strip()[:40]
            raise self._error(f'unexpected "{shown}", a line is NAME=value', start, end)
        name, self.at = match["name"], match.end()
        if not match["sign"]:
            if name in self.env:
                self.found[name] = self.env[name]
        elif self.text[self.at : self.at + 1] in ("'", '"') and self.at < end:
            self.found[name] = self._quoted()
        else:
            value = self.text[self.at : end].partition(" #")[0].rstrip()
            self.found[name] = self._expanded(value, self.at, end)
            self.at = end

    def _quoted(self) -> str:
        start = self.at
        match = _QUOTED.match(self.text, start)
        if match is None:
            raise self._error("unterminated quoted value", start, self._line_end())
        self.at = match.end()
        if match["single"] is not None:
            return match["single"].replace("\\'", "'")
        return self._expanded(_ESCAPE.sub(_unescaped, match["double"]), start, self.at)

    def _expanded(self, raw: str, start: int, end: int) -> str:
        try:
            return substitute(raw, lambda name: self.env.get(name, self.found.get(name)))
        except ValueError as error:
            raise self._error(str(error), start, end) from None

    def _error(self, problem: str, start: int, end: int) -> BakeryError:
        return BakeryError.of(f"failed to read {self.source.file.name}", problem, self.source.span(start, end))


def _unescaped(match: re.Match[str]) -> str:
    if match[2]:
        return chr(int(match[2], 8))
    return _ESCAPES.get(match[1], match[1])

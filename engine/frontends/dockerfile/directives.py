"""Parser directives: comments such as `# escape=\\`` at the very beginning of a Dockerfile.

The first line that is no known directive ends them. Names are case-insensitive, each may stand once.
"""

from __future__ import annotations

import json
import re

from engine.frontends.dockerfile.gotext import SPACE
from engine.frontends.dockerfile.source import DockerfileError
from engine.values import frozen

ESCAPES = ("`", "\\")
_NAMES = frozenset({"syntax", "escape", "check"})
_FORM = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")


@frozen
class Directive:
    """A directive: its name in lower case, its value, its line."""

    name: str
    value: str
    line: int


class DirectiveReader:
    """Reads directives line by line, until a line is none."""

    def __init__(self, comment: str = "#", line: int = 0) -> None:
        self._comment = comment
        self._line = line
        self._seen: set[str] = set()
        self.done = False

    def read(self, text: str) -> Directive | None:
        """The directive on the next line, if it is one.

        Raises:
            DockerfileError: for a directive that was there before.
        """
        self._line += 1
        if self.done:
            return None
        match = None
        if text.startswith(self._comment):
            match = _FORM.fullmatch(text.removeprefix(self._comment).lstrip(SPACE))
        if match is None or match[1].lower() not in _NAMES:
            self.done = True
            return None
        name = match[1].lower()
        if name in self._seen:
            raise DockerfileError(f"only one {name} parser directive can be used")
        self._seen.add(name)
        return Directive(name, match[2], self._line)


def find(name: str, data: bytes) -> Directive | None:
    """A directive of a Dockerfile; a `#!` line may stand before."""
    return _find(name, *_body(data), "#")


def find_syntax(data: bytes) -> Directive | None:
    """The `syntax` directive, also behind `//` or as a key of a JSON document."""
    text, line = _body(data)
    found = _find("syntax", text, line, "#") or _find("syntax", text, line, "//")
    if found is not None or not text.lstrip().startswith("{"):
        return found
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = document.get("syntax") if isinstance(document, dict) else None
    return Directive("syntax", value, line) if isinstance(value, str) else None


def _body(data: bytes) -> tuple[str, int]:
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if text.startswith("#!"):
        return text.partition("\n")[2], 1
    return text, 0


def _find(name: str, text: str, line: int, comment: str) -> Directive | None:
    reader = DirectiveReader(comment, line)
    for row in text.split("\n"):
        try:
            directive = reader.read(row.rstrip("\r"))
        except DockerfileError:
            return None
        if reader.done:
            return None
        if directive and directive.name == name:
            return directive
    return None

"""Where in a TOML text a key stands: the standard library's reader does not say."""

from __future__ import annotations

import re

from bakery.diagnostics import Position, SourceFile, Span

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_PAIR = re.compile(rf"\s*({_DOTTED})\s*=")
_FENCE = re.compile(r'"""|\'\'\'')
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

Path = tuple[str | int, ...]
"""Keys from the top; a number is the place in an array of tables."""


def find_place(file: SourceFile, path: Path) -> Span | None:
    """The key at `path`, or the nearest above it with a line of its own (what is inside an inline table has none)."""
    known = _places(file)
    while path and path not in known:
        path = path[:-1]
    return known.get(path)


def split_error(file: SourceFile, message: str) -> tuple[str, Span | None]:
    """A reader's message without its place, and the place."""
    match = _TOML_PLACE.search(message)
    if match is None:
        return message, None
    lines = file.text.split("\n")
    line = int(match[1]) if match[1] else len(lines)
    column = int(match[2]) if match[2] else len(lines[-1]) + 1
    return message[: match.start()], _span(file, line, column - 1, column)


def _places(file: SourceFile) -> dict[Path, Span]:
    places: dict[Path, Span] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    fenced = False
    for number, line in enumerate(file.text.split("\n"), 1):
        if not fenced and (header := _HEADER.match(line)):
            table = _table(header[1] == "[[", tuple(_keys(header[2])), counts)
            places.setdefault(table, _span(file, number, *header.span(2)))
        elif not fenced and (pair := _PAIR.match(line)):
            path = (*table, *_keys(pair[1]))
            for length in range(len(table) + 1, len(path) + 1):
                places.setdefault(path[:length], _span(file, number, *pair.span(1)))
        if len(_FENCE.findall(line)) % 2:
            fenced = not fenced
    return places


def _table(is_array: bool, keys: tuple[str, ...], counts: dict[Path, int]) -> Path:
    path: Path = ()
    for at, key in enumerate(keys):
        path = (*path, key)
        if is_array and at == len(keys) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _keys(dotted: str) -> list[str]:
    return [key.strip("\"'") for key in re.findall(_KEY, dotted)]


def _span(file: SourceFile, line: int, start: int, end: int) -> Span:
    before = sum(len(text) + 1 for text in file.text.split("\n")[: line - 1])
    return Span(
        file,
        Position(line, start + 1, before + start),
        Position(line, end + 1, before + end),
    )

"""Small text forms that bake files share with Go programs: one CSV line, booleans, `path.Match` patterns.

People have files that rely on the exact accepted set, so these follow Go's encoding/csv, strconv and path packages.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_bool(text: str) -> bool:
    """Go's strconv.ParseBool. Raises ValueError with Go's wording, which scripts match on."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def yaml_bool(text: str) -> bool:
    """A truth as Compose reads it: the words of YAML 1.1. Raises ValueError with the peer's wording."""
    if text.lower() in ("true", "y", "yes", "on"):
        return True
    if text.lower() in ("false", "n", "no", "off"):
        return False
    raise ValueError(f"invalid boolean: {text}")


def csv_fields(line: str) -> list[str]:
    """The fields of one CSV line, quotes doubled inside quoted fields. Raises ValueError on an empty or broken line."""
    if line == "":
        raise ValueError("EOF")
    if '"' not in line:
        return line.split(",")
    fields: list[str] = []
    at = 0
    while True:
        field, at = _quoted(line, at) if line[at : at + 1] == '"' else _bare(line, at)
        fields.append(field)
        if at >= len(line):
            return fields
        at += 1


def _bare(line: str, start: int) -> tuple[str, int]:
    end = line.find(",", start)
    end = len(line) if end < 0 else end
    quote = line.find('"', start, end)
    if quote >= 0:
        raise ValueError(f'parse error on line 1, column {quote + 1}: bare " in non-quoted-field')
    return line[start:end], end


def _quoted(line: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    at = start + 1
    while True:
        end = line.find('"', at)
        if end < 0:
            raise ValueError(f'parse error on line 1, column {len(line) + 1}: extraneous or missing " in quoted-field')
        parts.append(line[at:end])
        after = line[end + 1 : end + 2]
        if after == '"':
            parts.append('"')
            at = end + 2
        elif after in ("", ","):
            return "".join(parts), end + 1
        else:
            raise ValueError(f'parse error on line 1, column {end + 1}: extraneous or missing " in quoted-field')


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    parts: list[str] = []
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "\\":
            if at >= len(glob):
                raise ValueError("syntax error in pattern")
            parts.append(re.escape(glob[at]))
            at += 1
        elif char == "[":
            part, at = _class(glob, at)
            parts.append(part)
        else:
            parts.append(re.escape(char))
    return re.compile("".join(parts), re.DOTALL)


def _class(glob: str, at: int) -> tuple[str, int]:
    negated = glob[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    while True:
        if glob[at : at + 1] == "]" and ranges:
            return f"[{'^' if negated else ''}{''.join(ranges)}]", at + 1
        low, at = _class_char(glob, at)
        high = low
        if glob[at : at + 1] == "-":
            high, at = _class_char(glob, at + 1)
        if low > high:
            # Go accepts such a range; it matches nothing.
            ranges.append("")
            continue
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")


def _class_char(glob: str, at: int) -> tuple[str, int]:
    if at >= len(glob) or glob[at] in "-]":
        raise ValueError("syntax error in pattern")
    if glob[at] == "\\":
        at += 1
        if at >= len(glob):
            raise ValueError("syntax error in pattern")
    return glob[at], at + 1


def path_match(glob: str, name: str) -> bool:
    """Go's path.Match: `*` and `?` stop at `/`, `[a-z]` and `[^a]` are classes. Raises ValueError on a bad pattern."""
    if not any(char in glob for char in "*?[\\"):
        return glob == name
    return _pattern(glob).fullmatch(name) is not None


def clean_path(path: str) -> str:
    """Go's path.Clean: the shortest equal path; `a/../b` becomes `b` without looking at links; empty is `.`."""
    if path == "":
        return "."
    rooted = path.startswith("/")
    out: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if out and out[-1] != "..":
                out.pop()
                continue
            if rooted:
                continue
        out.append(part)
    return ("/" if rooted else "") + "/".join(out) or "."

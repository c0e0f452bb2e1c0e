"""Filters of `du`, `prune` and garbage collection: containerd's small language over the fields of a usage record.

A filter is selectors joined by commas, which must all hold: `FIELD` (it is true, or not empty), `FIELD==VALUE`,
`FIELD!=VALUE`, `FIELD~=REGEX`. A value may stand in double quotes. Of several filters, one is enough.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

Fields = Mapping[str, str | bool]
"""A record as filters see it."""


class RecordType(StrEnum):
    """What a record is; `source.local` is never found here, for local folders are not copied."""

    REGULAR = "regular"
    INTERNAL = "internal"
    FRONTEND = "frontend"
    LOCAL = "source.local"
    GIT = "source.git.checkout"
    MOUNT = "exec.cachemount"


FIELDS = ("id", "parents", "description", "inuse", "mutable", "immutable", "type", "shared", "private")

_SELECTOR = re.compile(r'\s*([A-Za-z0-9_.-]+)\s*(?:(==|!=|~=)\s*("(?:[^"\\]|\\.)*"|[^,"]*?)\s*)?(?:,|$)')

Filter = Callable[[Fields], bool]


def parse_filter(text: str) -> Filter:
    """One filter; an empty one holds for everything. Raises ValueError."""
    selectors: list[Filter] = []
    at = 0
    while at < len(text.rstrip()):
        match = _SELECTOR.match(text, at)
        if match is None:
            raise ValueError(f'"{text}" is no filter such as "type==exec.cachemount"')
        selectors.append(_selector(match[1], match[2], match[3]))
        at = match.end()
    return lambda record: all(selector(record) for selector in selectors)


def parse_filters(texts: Iterable[str]) -> Filter:
    """Several filters of which one must hold; none holds for everything. Raises ValueError."""
    filters = [parse_filter(text) for text in texts]
    return lambda record: not filters or any(one(record) for one in filters)


def _selector(field: str, operator: str | None, written: str | None) -> Filter:
    if field not in FIELDS:
        raise ValueError(f'there is no field "{field}" to filter by; known are {", ".join(FIELDS)}')
    value = _value(written or "")
    if field == "type" and operator in ("==", "!=") and value not in list(RecordType):
        raise ValueError(f'there is no type "{value}"; known are {", ".join(RecordType)}')
    if operator is None:
        return lambda record: bool(record[field])
    if operator == "~=":
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f'"{value}" is no regular expression: {error}') from None
        return lambda record: pattern.search(_text(record[field])) is not None
    if operator == "==":
        return lambda record: _text(record[field]) == value
    return lambda record: _text(record[field]) != value


def _value(written: str) -> str:
    if not written.startswith('"'):
        return written
    try:
        return str(json.loads(written))
    except ValueError:
        raise ValueError(f"{written} is not quoted rightly") from None


def _text(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()

"""Usage records as `bakery du` and `bakery prune` write them, in the peer's columns, blocks and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bakery.console.text import printable, rfc3339, size
from engine.cache.usage import Usage

_WIDTHS = (40, 13, 12)
"""Of all columns but the last, with the space between them."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def table(records: Sequence[Usage], now: float) -> str:
    """All records, aligned."""
    width = max([len(record.id) + 4 for record in records], default=0)
    return header(width) + "".join(row(record, now, width) for record in records)


def header(width: int = 0) -> str:
    """The head of the table; `width` is that of its first column, at the least."""
    return _line(width, "ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED")


def row(record: Usage, now: float, width: int = 0) -> str:
    """One record: `*` after its ID says that steps may change it, after its size that others share it."""
    return _line(
        width,
        record.id + "*" * record.mutable,
        str(not record.in_use).lower(),
        size(record.size) + "*" * record.shared,
        ago(now - record.used),
    )


def block(record: Usage, now: float) -> str:
    """One record with all that is known of it."""
    fields = [
        ("ID", record.id),
        *([("Parents", ";".join(record.parents))] if record.parents else []),
        ("Created at", rfc3339(record.created)),
        ("Mutable", str(record.mutable).lower()),
        ("Reclaimable", str(not record.in_use).lower()),
        ("Shared", str(record.shared).lower()),
        ("Size", size(record.size)),
        ("Description", printable(record.description.encode())),
        ("Usage count", str(record.uses)),
        ("Last used", ago(now - record.used)),
        ("Type", str(record.type)),
    ]
    return "".join(f"{name + ':':13} {value}\n" for name, value in fields) + "\n"


def summary(records: Sequence[Usage]) -> str:
    """Sums: what is shared and what is not (if anything is), what could go, and all."""
    total = sum(record.size for record in records)
    shared = sum(record.size for record in records if record.shared)
    sums = [
        *([("Shared", shared), ("Private", total - shared)] if shared else []),
        ("Reclaimable", sum(record.size for record in records if not record.in_use)),
        ("Total", total),
    ]
    return "".join(f"{name + ':':13} {size(value)}\n" for name, value in sums)


def as_json(records: Iterable[Usage]) -> str:
    """A list of objects with BuildKit's keys; sizes in bytes."""
    return json.dumps([_object(record) for record in records], indent=2, ensure_ascii=False)


def _object(record: Usage) -> dict[str, Any]:
    return {
        "id": record.id,
        "mutable": record.mutable,
        "inUse": record.in_use,
        "size": record.size,
        "createdAt": rfc3339(record.created),
        "lastUsedAt": rfc3339(record.used),
        "usageCount": record.uses,
        "parents": list(record.parents) or None,
        "description": record.description,
        "recordType": str(record.type),
        "shared": record.shared,
    }


def ago(seconds: float) -> str:
    """How long ago something was, in one word and a number, as Docker's tools say it."""
    return f"{_duration(max(0, int(seconds)))} ago"


def _duration(seconds: int) -> str:
    if seconds < 1:
        return "Less than a second"
    if seconds < _MINUTE:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if seconds < _HOUR:
        minutes = seconds // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (seconds + _HOUR // 2) // _HOUR
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{days // 365} years"


def _line(first: int, *cells: str) -> str:
    widths = (max(first, _WIDTHS[0]), *_WIDTHS[1:])
    padded = [cell.ljust(width - 3) + "   " for cell, width in zip(cells, widths, strict=False)]
    return ("".join(padded) + cells[-1]).rstrip() + "\n"

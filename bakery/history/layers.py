"""How big the layers of finished targets are, as the state folder knows when a build ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK = 500
"""IDs in one SELECT."""


def describe(root: Path, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Size in bytes on disk and what made it, of each layer that is recorded; nothing where the database is not."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, dict[str, Any]] = {}
    if not wanted:
        return {}
    try:
        connection = sqlite3.connect(f"{(root / 'state.db').as_uri()}?mode=ro", uri=True, timeout=1)
    except sqlite3.Error:
        return {}
    try:
        for at in range(0, len(wanted), _CHUNK):
            part = wanted[at : at + _CHUNK]
            marks = ",".join("?" * len(part))
            rows = connection.execute(
                "SELECT l.id, l.size, l.description, (SELECT MIN(b.size) FROM layer_blobs b WHERE b.layer = l.id)"
                f" FROM layers l WHERE l.id IN ({marks})",
                part,
            )
            found |= {str(id_): {"size": size, "by": text, "packed": packed} for id_, size, text, packed in rows}
    except sqlite3.Error:
        return found
    finally:
        connection.close()
    return found

"""Paths of this machine, as targets name them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError

if TYPE_CHECKING:
    from bakery.config.target import Target

_MAX_NAME = 255
"""Bytes of one name in a path: the limit of every file system that Linux has for daily use."""
_MAX_PATH = 4095
"""Bytes of a path that the kernel takes (`PATH_MAX`, which counts a zero at the end)."""


def local_path(target: Target, attribute: str, folder: Path, text: str) -> Path:
    """The path from `folder` that an attribute of a target names.

    Raises:
        BakeryError: at the attribute, for a text that nothing on a disk can be called.
    """
    path = folder / text
    problem = _problem(path)
    if problem:
        shown = text if len(text) <= 60 else f"{text[:57]}…"
        raise BakeryError.of(
            f"target {target.name}: {shown!r} cannot be a path: {problem}",
            span=target.span_of(attribute),
            hint=f'look at what "{attribute}" is made of: a variable may hold more than was thought',
        )
    return path


def _problem(path: Path) -> str | None:
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:
        return "it has characters that no encoding has"
    if b"\0" in encoded:
        return "it has a zero byte"
    if len(encoded) > _MAX_PATH:
        return f"it has {len(encoded):,} bytes, and a path has at most {_MAX_PATH:,}"
    longest = max(map(len, encoded.split(b"/")))
    if longest > _MAX_NAME:
        return f"a name in it has {longest:,} bytes, and files have names of at most {_MAX_NAME}"
    return None

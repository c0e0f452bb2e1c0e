"""Slash paths as Go's `path` package has them; definitions hold its results.

Python's posixpath keeps a double slash at the beginning and makes nothing of an empty path's dot: not the same.
"""

from __future__ import annotations

import posixpath


def clean(path: str) -> str:
    """The shortest equal path: no empty, `.` or inner `..` parts; `.` for nothing."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def join(*parts: str) -> str:
    """The parts with slashes between, cleaned; empty parts are left out; empty for nothing at all."""
    text = "/".join(part for part in parts if part)
    return clean(text) if text else ""


def base(path: str) -> str:
    """The last element: `.` for an empty path, `/` for slashes only."""
    if not path:
        return "."
    stripped = path.rstrip("/")
    return stripped.rpartition("/")[2] if stripped else "/"


def normalize(parent: str, path: str, *, keep_slash: bool = False) -> str:
    """An absolute clean path, below `parent` where it is relative; a trailing `/` or `/.` can be kept."""
    out = clean(path)
    if not out.startswith("/"):
        out = join("/", parent, out)
    if keep_slash:
        if path.endswith("/") and not out.endswith("/"):
            out += "/"
        elif path.endswith("/."):
            out += "." if out == "/" else "/."
    return out

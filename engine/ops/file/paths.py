"""Paths as file actions write them, and where they lead in a tree.

Source: `fsutil/copy` and `file/backend.go` of BuildKit, whose handling of trailing slashes decides what COPY means.
"""

from __future__ import annotations

import posixpath
from functools import lru_cache

from engine.cache.content.errors import missing
from engine.patterns import glob, has_wildcard
from engine.tree import Tree, resolve


def clean(path: str) -> str:
    """Absolute and without `..`; a trailing `/` or `/.` stays, for it says that a folder is meant."""
    plain = absolute(path)
    if path.endswith("/."):
        return plain.rstrip("/") + "/."
    return plain + "/" if path.endswith("/") and plain != "/" else plain


@lru_cache(maxsize=1024)
def absolute(path: str) -> str:
    """Absolute, without `..`, doubled or trailing slashes."""
    return posixpath.normpath("/" + path.lstrip("/"))


def source_path(tree: Tree, path: str, *, follow: bool) -> str:
    """Where a source path leads; at its last component a link is followed only if `follow`."""
    return resolve(tree, absolute(path), follow_last=follow)


def matches(tree: Tree, pattern: str, *, follow: bool) -> list[str]:
    """The paths that a pattern names, in the order of their names' bytes; without a wildcard the path as it is.

    Raises:
        MissingError: if the folder before the first wildcard is not there.
    """
    if not has_wildcard(pattern):
        return [pattern]
    parts = absolute(pattern).strip("/").split("/")
    first = next((i for i, part in enumerate(parts) if has_wildcard(part)), None)
    if first is None:  # `..` took it away
        return [pattern]
    top = source_path(tree, "/".join(parts[:first]), follow=follow)
    entry = tree.lstat(top)
    if entry is None:
        raise missing(tree, "/" + "/".join(parts[:first]))
    found = [top] if entry.is_dir else []
    for part in parts[first:]:
        matching = glob(part)
        found = [
            posixpath.join(folder, name)
            for folder in found
            if _is_folder(tree, folder)
            for name in tree.names(folder)
            if matching.fullmatch(name)
        ]
    return found


def _is_folder(tree: Tree, path: str) -> bool:
    entry = tree.lstat(path)
    return entry is not None and entry.is_dir

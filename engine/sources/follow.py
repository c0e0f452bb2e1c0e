"""Which paths of a folder have to be taken so that given paths can be read: they and the symbolic links on the way.

This is how a build asks for just the files that its COPY lines name. Semantics: FollowLinks of tonistiigi/fsutil.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from engine.patterns import glob, has_wildcard
from engine.sources.folder import Folder


def follow_paths(folder: Folder, paths: Iterable[str]) -> tuple[str, ...]:
    """Include patterns for some paths and patterns of paths; empty where one of them is the folder itself.

    Paths that are not there are patterns, too: nothing matches them. Raises PatternError, OSError.
    """
    found: set[str] = set()
    rest = list(paths)
    while rest:
        rest += _follow(folder, rest.pop(), found)
    if "" in found:
        return ()
    outermost: list[str] = []
    for path in sorted(found):
        if not outermost or not path.startswith(outermost[-1] + "/"):
            outermost.append(path)
    return tuple("\\" + path if path.startswith("!") else path for path in outermost)


def _follow(folder: Folder, path: str, found: set[str]) -> list[str]:
    """Notes the path up to its first symbolic link; returns the paths that the link leads to."""
    parts = posixpath.normpath("/" + path).strip("/").split("/")
    current = ""
    for i, part in enumerate(parts):
        current = posixpath.join(current, part)
        targets = list(_targets(folder, current))
        if targets:
            if current in found:
                return []
            found.add(current)
            return [posixpath.join(target, *parts[i + 1 :]) for target in targets]
    found.add(current)
    return []


def _targets(folder: Folder, path: str) -> Iterator[str]:
    """Where the link at a path leads, or the links that the path's last part matches."""
    parent, name = posixpath.split(path)
    if not has_wildcard(name):
        names = [name] if name else []
    else:
        try:
            matching = glob(name)
            names = [n for n in folder.entries(parent) if matching.fullmatch(n)]
        except OSError:
            names = []
    for each in names:
        here = posixpath.join(parent, each)
        entry = folder.lstat(here)
        if entry is not None and entry.is_link:
            yield posixpath.join("/", parent, folder.readlink(here))

"""Goes through a file system once and asks, for each file that may tell of packages, the one who can read it.

Nothing in the file system is believed or run: records that make no sense are passed over, sizes are bounded.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from engine.attestations.sbom import alpine, debian, golang, node, python, redhat
from engine.attestations.sbom.package import Package
from engine.attestations.sbom.release import Release, read_release
from engine.tree import Entry, Tree

_SKIPPED = frozenset(("/proc", "/sys", "/dev"))
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH

Reader = Callable[[Tree, str], Iterable[Package]]


def scan(tree: Tree) -> list[Package]:
    """All packages that can be found, each once, by kind, name and version. For a worker thread."""
    readers = _Readers(read_release(tree))
    found: dict[tuple[str, str], Package] = {}
    for path, entry in _files(tree):
        reader = readers.of(path, entry)
        if reader is None:
            continue
        for package in reader(tree, path):
            found.setdefault((package.purl, package.found_in), package)
    return sorted(found.values(), key=lambda item: (item.kind, item.name, item.version, item.found_in))


@dataclass(frozen=True, slots=True)
class _Readers:
    """Who reads which file."""

    release: Release

    def of(self, path: str, entry: Entry) -> Reader | None:
        name = path.rpartition("/")[2]
        if path == debian.STATUS or path.startswith(debian.STATUS_FOLDER):
            return partial(debian.packages, self.release)
        if path in alpine.INSTALLED:
            return partial(alpine.packages, self.release)
        if path in redhat.DATABASES:
            return partial(redhat.packages, self.release)
        if name in ("METADATA", "PKG-INFO"):
            return python.packages if python.is_record(path) else None
        if name == "package.json":
            return node.packages if "/node_modules/" in path else None
        if entry.mode & _EXECUTABLE and entry.size > golang.LEAST:
            return golang.packages
        return None


def _files(tree: Tree) -> Iterator[tuple[str, Entry]]:
    """All regular files but those of pretended file systems."""
    stack = ["/"]
    while stack:
        folder = stack.pop()
        base = folder.rstrip("/")
        for name in tree.names(folder):
            path = f"{base}/{name}"
            entry = tree.lstat(path)
            if entry is None:
                continue
            if entry.is_dir:
                if path not in _SKIPPED:
                    stack.append(path)
            elif entry.is_file:
                yield path, entry

"""The files of a context: which it offers, which of them a definition uses, and by which rule others are left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SourceError
from engine.frontends.contract import FrontendRequest, LocalFolder
from engine.frontends.dockerfile.dockerignore import BadPattern, IgnoreMatcher, Rule
from engine.frontends.dockerfile.lower.contexts import DOCKERFILE, ignore_file
from engine.llb.definition import Definition
from engine.sources.local import SCHEME, LocalView, filtered, open_tree

MAIN = "context"


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file or link that a context offers; size in bytes."""

    path: str
    size: int
    used: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file, or a folder with all in it, that a rule leaves out. `files` counts those in it; size in bytes."""

    path: str
    size: int
    files: int
    rule: Rule


@dataclass(frozen=True, slots=True)
class ContextListing:
    """One folder of a target. `name` is `context` for the main one; `ignore_file` is empty if there is none."""

    name: str
    folder: Path
    ignore_file: str
    files: tuple[ContextFile, ...]
    left_out: tuple[LeftOut, ...]


def contexts(request: FrontendRequest, definitions: Sequence[Definition]) -> list[ContextListing]:
    """The folders of a target, and what its definitions (one for each platform) use of them.

    Raises:
        SourceError: for a folder that cannot be read, or rules that make no sense.
    """
    return [
        _listing(request, folder, _views(folder, definitions))
        for name, folder in request.locals.items()
        if name != "dockerfile" and folder.name == name and not name.startswith("folder-")
    ]


def _views(folder: LocalFolder, definitions: Sequence[Definition]) -> list[LocalView]:
    """What definitions see of a folder."""
    found = {}
    for definition in definitions:
        for vertex in definition.walk():
            source = vertex.op.source
            if source is None or not source.identifier.startswith(SCHEME):
                continue
            if source.attrs.get("local.session") == folder.session and vertex.digest not in found:
                found[vertex.digest] = open_tree(filtered(vertex, folder.path))
    return list(found.values())


def _listing(request: FrontendRequest, folder: LocalFolder, views: list[LocalView]) -> ContextListing:
    dockerfiles = request.locals.get("dockerfile") if folder.name == MAIN and request.dockerfile is None else None
    name, text = ignore_file(folder, dockerfiles, request.options.get("filename", DOCKERFILE))
    try:
        walk = _Walk(folder.path, IgnoreMatcher.parse(text), views)
        walk.folder("")
    except BadPattern as error:
        raise SourceError(f"{name}: {error}") from None
    except OSError as error:
        raise SourceError(f"cannot read {folder.path}: {error.strerror}") from None
    files = tuple(sorted(walk.files, key=lambda file: file.path))
    left_out = tuple(sorted(walk.left_out, key=lambda one: one.path))
    return ContextListing(folder.name, folder.path, name if text else "", files, left_out)


class _Walk:
    """Goes through a folder once; a subfolder of which nothing is offered, by one rule, is one thing left out."""

    def __init__(self, root: Path, matcher: IgnoreMatcher, views: list[LocalView]) -> None:
        self._root = root
        self._matcher = matcher
        self._views = views
        self.files: list[ContextFile] = []
        self.left_out: list[LeftOut] = []

    def folder(self, path: str) -> None:
        with os.scandir(self._root / path) as entries:
            for entry in entries:
                self._entry(entry, f"{path}/{entry.name}" if path else entry.name)

    def _entry(self, entry: os.DirEntry[str], path: str) -> None:
        rule = self._matcher.rule_for(path)
        hidden = rule is not None and not rule.includes
        if entry.is_dir(follow_symlinks=False):
            self._subfolder(path, rule if hidden else None)
            return
        info = entry.stat(follow_symlinks=False)
        size = info.st_size if stat.S_ISREG(info.st_mode) else 0
        if rule is not None and hidden:
            self.left_out.append(LeftOut(path, size, 1, rule))
        else:
            self.files.append(ContextFile(path, size, any(view.lstat("/" + path) for view in self._views)))

    def _subfolder(self, path: str, rule: Rule | None) -> None:
        offered, hidden = len(self.files), len(self.left_out)
        self.folder(path)
        if rule is None or len(self.files) > offered:
            return
        inside = self.left_out[hidden:]
        if all(one.rule is rule for one in inside):
            total = LeftOut(path + "/", sum(one.size for one in inside), sum(one.files for one in inside), rule)
            self.left_out[hidden:] = [total]

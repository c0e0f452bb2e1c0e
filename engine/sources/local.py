"""Folders of this machine as sources: the files of a build context, read where they lie.

Filters work as BuildKit's transfer does: a path is there if an include pattern matches it (or there are none) and the
exclude patterns do not; a folder is there, too, if something below it is.
"""

from __future__ import annotations

import errno
import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from engine.errors import SourceError
from engine.llb.definition import Vertex
from engine.patterns import TOP, Match, PatternError, PatternMatcher
from engine.results import LocalTree
from engine.sources.contract import Resolved
from engine.sources.folder import Folder
from engine.sources.follow import follow_paths
from engine.tree import CAPABILITY, Entry

SCHEME = "local://"
IGNORE_FILE = ".dockerignore"


class LocalView:
    """A `Tree` over a folder of this machine, seen through filters. May be used from any thread."""

    def __init__(self, folder: Folder, include: Sequence[str], exclude: Sequence[str]) -> None:
        """Raises PatternError."""
        self.folder = folder
        self._include = PatternMatcher(include)
        self._exclude = PatternMatcher(exclude)
        self._filtered = bool(self._include or self._exclude)
        self._folders: dict[str, tuple[Match, Match]] = {"": (TOP, TOP)}
        self._inhabited: dict[str, bool] = {"": True}
        self._listed: dict[str, Mapping[str, Entry]] = {}
        self._shown_at: dict[str, bool] = {}

    def lstat(self, path: str) -> Entry | None:
        """The entry at a path, links not followed; None if there is none, or the filters hide it."""
        inside = path[1:]
        entry = self.folder.lstat(inside)
        if entry is None or not self._filtered or not inside:
            return entry
        shown = self._shown_at.get(inside)
        if shown is None:
            parent, _, name = inside.rpartition("/")
            listed = self._listed.get(parent)
            shown = name in listed if listed is not None else self._shows(parent, name, entry)
            self._shown_at[inside] = shown
        return entry if shown else None

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted by their bytes. Raises NotADirectoryError, FileNotFoundError."""
        entry = self.lstat(path)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such folder", path)
        if not entry.is_dir:
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", path)
        return [name for name, _ in self.entries(path)]

    def entries(self, path: str) -> Iterable[tuple[str, Entry]]:
        """The names in a folder that is there, with what `lstat` says of each. Raises OSError."""
        inside = path[1:]
        entries = self.folder.entries(inside)
        if not self._filtered:
            return entries.items()
        listed = self._listed.get(inside)
        if listed is None:
            shown = {name: entry for name, entry in entries.items() if self._shows(inside, name, entry)}
            listed = self._listed.setdefault(inside, shown)
        return listed.items()

    def readlink(self, path: str) -> str:
        """The target of a symbolic link, as written."""
        return self.folder.readlink(self._shown(path))

    def open(self, path: str) -> BinaryIO:
        """A regular file's content. Raises OSError, and ChangedError if it is not what `lstat` told of."""
        return self.folder.open(self._shown(path))

    def xattrs(self, path: str) -> Mapping[str, bytes]:
        """Extended attributes, without the capabilities of a program: on its way to BuildKit's daemon it loses them."""
        found = self.folder.xattrs(self._shown(path))
        return {name: value for name, value in found.items() if name != CAPABILITY} if found else found

    def hidden_by(self, path: str) -> str | None:
        """The exclude pattern because of which a path, that the folder does hold, is not there."""
        inside = path.strip("/")
        return self._exclude.rule_for(inside) if inside and self.folder.lstat(inside) else None

    def line_of(self, pattern: str) -> int:
        """The line of the folder's .dockerignore that an exclude pattern stands in; 0 if it stands in none."""
        try:
            with self.folder.open(IGNORE_FILE) as file:
                rows = file.read().decode("utf-8", "replace").splitlines()
        except (OSError, SourceError):
            return 0
        lines = (
            n for n, row in enumerate(rows, 1) if posixpath.normpath(row.strip()).lstrip("/") == pattern.lstrip("/")
        )
        return next(lines, 0)

    def offered(self) -> LocalView:
        """All that the folder offers, also what was not asked for."""
        return self if not self._include else LocalView(self.folder, (), [p.source for p in self._exclude.patterns])

    def _shown(self, path: str) -> str:
        if self.lstat(path) is None:
            raise FileNotFoundError(errno.ENOENT, "no such file or folder", path)
        return path[1:]

    def _shows(self, parent: str, name: str, entry: Entry) -> bool:
        included, excluded = self._decide(parent, name)
        if not excluded.matched and (included.matched or not self._include):
            return True
        return entry.is_dir and self._is_inhabited(f"{parent}/{name}" if parent else name)

    def _decide(self, parent: str, name: str) -> tuple[Match, Match]:
        include, exclude = self._folder(parent)
        path = f"{parent}/{name}" if parent else name
        return self._include.match(path, include), self._exclude.match(path, exclude)

    def _folder(self, path: str) -> tuple[Match, Match]:
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = self._decide(*posixpath.split(path))
        return known

    def _is_inhabited(self, path: str) -> bool:
        """Whether a folder that is not shown for itself is shown for something in it."""
        known = self._inhabited.get(path)
        if known is None:
            known = self._inhabited[path] = self._may_show_below(path) and self._has_shown(path)
        return known

    def _may_show_below(self, path: str) -> bool:
        included, excluded = self._folder(path)
        if self._include and not included.matched and not self._include.may_match_below(path):
            return False
        return not excluded.matched or self._exclude.may_except_below(path)

    def _has_shown(self, path: str) -> bool:
        try:
            entries = self.folder.entries(path)
        except PermissionError:
            return False  # as the peer: what is excluded need not be readable
        return any(self._shows(path, name, entry) for name, entry in entries.items())


def open_tree(local: LocalTree) -> LocalView:
    """Read access to a folder of this machine.

    Raises:
        SourceError: if it is not there or may not be read, or a pattern is malformed.
    """
    folder = local.seen or Folder(local.path)
    try:
        return folder.once(local, lambda: _view(folder, local))
    except PatternError as error:
        raise SourceError(f"the filters of {local.path}: {error}") from error
    except OSError as error:
        raise SourceError(f"cannot read {local.path}: {error.strerror}") from error


def _view(folder: Folder, local: LocalTree) -> LocalView:
    followed = follow_paths(folder, local.follow)
    return LocalView(folder, (*local.include, *followed), local.exclude)


class LocalSource:
    """A `local://` vertex: a folder that the call gave under the session of the vertex."""

    def __init__(self, vertex: Vertex, folders: Mapping[str, Path]) -> None:
        self._vertex = vertex
        self._folders = folders

    async def resolve(self) -> Resolved:
        """The folder, not read yet. No key: only its content counts.

        Raises:
            SourceError: if no such folder was given, or a filter is not a JSON list.
        """
        source = self._vertex.op.source
        assert source is not None
        name = source.identifier.removeprefix(SCHEME)
        session = source.attrs.get("local.session", "")
        path = self._folders.get(session) or self._folders.get(name)
        if path is None:
            raise SourceError(f"no folder was given for the local source {name!r}", vertex=self._vertex.name)
        tree = filtered(self._vertex, path)
        return Resolved(keys=(), pin="", result=tree)


def filtered(vertex: Vertex, path: Path) -> LocalTree:
    """A folder as a `local://` vertex wants to see it.

    Raises:
        SourceError: if there is no such folder, or a filter is not a JSON list.
    """
    return LocalTree(
        path=path,
        include=_patterns(vertex, "includepattern"),
        exclude=_patterns(vertex, "excludepatterns"),
        follow=_patterns(vertex, "followpaths"),
        seen=Folder(path),
    )


def _patterns(vertex: Vertex, attribute: str) -> tuple[str, ...]:
    text = vertex.op.source.attrs.get(f"local.{attribute}") if vertex.op.source else None
    try:
        found = json.loads(text) if text else []
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise SourceError(
            f"local.{attribute} of {vertex.name} is not a list of texts in JSON: {text!r}", vertex=vertex.name
        )
    return tuple(found)

"""Copying a path of one tree into another file system, with filters, as BuildKit's COPY does.

Source of the semantics: `tonistiigi/fsutil/copy`. Its order of doing things shows in the result: times of folders are
set when all in them is there, the top folder of a copied folder's content keeps its owner and mode if it was there.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.cache.content.errors import missing
from engine.errors import StepError
from engine.ops.file.content import copy_content
from engine.ops.file.layer_root import LayerRoot
from engine.ops.file.paths import absolute, source_path
from engine.ops.file.settings import Settings, make_folders
from engine.patterns import NO_PATTERNS, TOP, Match, PatternMatcher
from engine.sources.local import LocalView
from engine.tree import CAPABILITY, Entry, Tree, resolve

Checkpoint = Callable[[], None]
"""Called now and then; raises when the work is cancelled."""


@dataclass(slots=True)
class _Folder:
    """A folder on the way of a copy. `made`: it is there in the target; what filters hide is made when first needed."""

    source: str
    target: str
    below: str
    entry: Entry
    children: Iterator[tuple[str, Entry]]
    taken: bool = True
    made: bool = True
    include: Match = TOP
    exclude: Match = TOP


@dataclass(slots=True)
class Copier:
    """Copies from one tree into one file system. Files that were one file with several names stay that."""

    tree: Tree
    root: LayerRoot
    settings: Settings
    checkpoint: Checkpoint
    contents_only: bool = False
    """Of a folder, copy what is in it into the destination (`COPY`), not the folder itself (`cp -r`)."""
    follow_links: bool = False
    replace: bool = False
    """Whatever is in the way of something else is removed."""
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    _includes: PatternMatcher = field(init=False)
    _excludes: PatternMatcher = field(init=False)
    _links: dict[tuple[int, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._includes = PatternMatcher(self.include) if self.include else NO_PATTERNS
        self._excludes = PatternMatcher(self.exclude) if self.exclude else NO_PATTERNS

    def copy(self, source: str, dest: str) -> None:
        """Copies a path to a destination, which may end in `/` or `/.` to say that it is a folder.

        Raises:
            MissingError: if the source is not there.
            StepError: if something is in the way.
            OSError: if something cannot be read or written.
        """
        self._links.clear()
        wanted = dest if posixpath.basename(dest) in ("", ".") else posixpath.dirname(dest)
        made = make_folders(self.root, resolve(self.root, absolute(wanted)), self.settings)
        real = source_path(self.tree, source, follow=self.follow_links)
        entry = self.tree.lstat(real)
        if entry is None:
            raise missing(self.tree, absolute(source))
        target = resolve(self.root, absolute(dest))
        there = self.root.lstat(target)
        if there is not None and (not self.contents_only if entry.is_dir else there.is_dir):
            target = absolute(posixpath.join(target, posixpath.basename(source.rstrip("/"))))
            there = self.root.lstat(target)
        into = entry.is_dir and self.contents_only and there is None
        made += make_folders(self.root, target if into else posixpath.dirname(target), self.settings)
        if entry.is_dir:
            self._copy_folder(real, target, entry)
        else:
            self._copy_entry(real, target, entry, there)
        for folder in made:
            self.settings.stamp(folder)

    # ------------------------------------------------------------ folders

    def _copy_folder(self, source: str, target: str, entry: Entry) -> None:
        if self.replace:
            self._clear_for_folder(target)
        created = self._make_folder(target, entry, overwrite=False)
        top = _Folder(source, target, "", entry, self._children(source))
        stack = [top]
        while stack:
            folder = stack[-1]
            child = next(folder.children, None)
            if child is not None:
                if (deeper := self._visit(stack, folder, *child)) is not None:
                    stack.append(deeper)
                continue
            stack.pop()
            if folder.taken and (folder is not top or created):
                self._apply(folder.source, folder.target, folder.entry)
        if not created:
            self.settings.time(self.root.take_up(target), entry.mtime_ns)

    def _visit(self, stack: list[_Folder], parent: _Folder, name: str, entry: Entry) -> _Folder | None:
        """Copies an entry of a folder; returns it if it is a folder to go into."""
        below = f"{parent.below}/{name}" if parent.below else name
        included = self._includes.match(below, parent.include) if self._includes else TOP
        excluded = self._excludes.match(below, parent.exclude) if self._excludes else TOP
        taken = (included.matched or not self._includes) and not excluded.matched
        source = f"{parent.source.rstrip('/')}/{name}"
        target = f"{parent.target.rstrip('/')}/{name}"
        if not entry.is_dir:
            if taken:
                self._make_parents(stack)
                self._copy_entry(source, target, entry, self.root.lstat(target))
            return None
        if not taken and not self._may_take_below(below, included, excluded):
            return None
        if taken:
            if self.replace:
                self._clear_for_folder(target)
            self._make_parents(stack)
            self._make_folder(target, entry, overwrite=True)
        self.checkpoint()
        return _Folder(source, target, below, entry, self._children(source), taken, taken, included, excluded)

    def _may_take_below(self, below: str, included: Match, excluded: Match) -> bool:
        if excluded.matched and not self._excludes.may_except_below(below):
            return False
        return included.matched or not self._includes or self._includes.may_match_below(below)

    def _make_parents(self, stack: list[_Folder]) -> None:
        """Makes the folders on the way that no pattern names, now that something in them is copied."""
        for folder in stack:
            if not folder.made:
                if self._make_folder(folder.target, folder.entry, overwrite=True):
                    self._apply(folder.source, folder.target, folder.entry)
                folder.made = True

    def _make_folder(self, target: str, entry: Entry, *, overwrite: bool) -> bool:
        """Makes a folder if it is not there; tells whether it did."""
        there = self.root.lstat(target)
        if there is None:
            self.root.make_folder(target, stat.S_IMODE(entry.mode))
            return True
        if not there.is_dir:
            raise StepError(f"cannot copy to non-directory: {target}")
        if overwrite:
            os.chmod(self.root.take_up(target), stat.S_IMODE(entry.mode))
        return False

    def _clear_for_folder(self, target: str) -> None:
        there = self.root.lstat(target)
        if there is not None and not there.is_dir:
            self.root.remove(target)

    def _children(self, path: str) -> Iterator[tuple[str, Entry]]:
        if isinstance(self.tree, LocalView):
            yield from self.tree.entries(path)
            return
        folder = path.rstrip("/")
        for name in self.tree.names(path):
            entry = self.tree.lstat(f"{folder}/{name}")
            if entry is not None:
                yield name, entry

    def _apply(self, source: str, target: str, entry: Entry) -> None:
        self.settings.apply(self.root.take_up(target), entry, self.tree.xattrs(source))

    # ------------------------------------------------------------ everything else

    def _copy_entry(self, source: str, target: str, entry: Entry, there: Entry | None) -> None:
        """Copies what is no folder to where `there` is what there is so far."""
        if there is not None:
            if self.replace:
                self.root.remove(target)
            elif there.is_dir:
                raise StepError(f"cannot replace to directory {target} with file")
            else:
                self.root.unlink_above(target)
        if entry.is_file:
            self._copy_file(source, target, entry)
            return
        if entry.is_link:
            made = self.root.make_link(target, self.tree.readlink(source))
        elif stat.S_ISSOCK(entry.mode):
            os.close(self.root.make_file(target))  # nobody listens in an image: an empty file stands for it
            made = self.root.real(target)
        else:
            made = self.root.make_node(target, entry.mode, entry.rdev)
        self.settings.apply(made, entry, self.tree.xattrs(source))

    def _copy_file(self, source: str, target: str, entry: Entry) -> None:
        if entry.links > 1:
            first = self._links.setdefault(entry.identity, target)
            if first != target:
                self.root.make_hard_link(target, first)
                return
        self.checkpoint()
        with self.tree.open(source) as file:
            fd = self.root.make_file(target)
            try:
                copy_content(file.fileno(), fd, os.fstat(file.fileno()))
                found = _xattrs(file.fileno())
                # A tree may keep capabilities to itself; hardly any file has them, so it is not asked about the others.
                self.settings.apply(fd, entry, self.tree.xattrs(source) if CAPABILITY in found else found)
            finally:
                os.close(fd)


def _xattrs(fd: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(fd, name) for name in os.listxattr(fd)}
    except OSError:
        return {}  # a file system without any

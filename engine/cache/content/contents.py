"""The checksums of results: of this machine's folders through what is known of their files, of snapshots once each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple
from functools import cached_property
from pathlib import Path

from engine.cache.content.files import FileDigests, KnownFiles, Reading
from engine.cache.content.header import EMPTY
from engine.cache.content.selection import KeptDigests, Walk
from engine.cache.content.trees import KnownTrees, TreeChanges
from engine.digests import Digest, sha256
from engine.errors import EngineError
from engine.ops.contract import Selection
from engine.results import LocalTree, Result, Snapshot
from engine.sources.local import open_tree
from engine.state import State
from engine.tree import Tree


class Contents:
    """One for each open state folder. May be used from any thread."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._files: dict[Path, KnownFiles] = {}
        self.reading = Reading()
        """How much of folders has been read."""
        self._walks: dict[tuple[str, str], Walk] = {}
        """The snapshots that were read here, with what was found in them."""

    def known(self, snapshot: Snapshot, selections: Sequence[Selection]) -> Digest | None:
        """The checksum of a part of a snapshot if it was made before: then its layers need not be here."""
        rows = self._state.query(
            "SELECT digest FROM contents WHERE snapshot = ? AND selection = ?", _name(snapshot), _text(selections)
        )
        return Digest(rows[0][0]) if rows else None

    def of_snapshot(self, snapshot: Snapshot, tree: Tree, selections: Sequence[Selection]) -> Digest:
        """The checksum of a part of a snapshot that is on this machine, read through `tree`.

        Raises:
            SourceError: as `engine.cache.content.selection.checksum`.
        """
        known = self.known(snapshot, selections)
        if known is not None:
            return known
        if not snapshot.layers and all(selection.path == "/" for selection in selections):
            return sha256("\0".join(EMPTY for _ in selections).encode())  # has no top folder even
        digest = self._walk_snapshot(snapshot, tree, selections).checksum(selections)
        self._state.write(
            "INSERT OR REPLACE INTO contents (snapshot, selection, digest) VALUES (?, ?, ?)",
            _name(snapshot),
            _text(selections),
            digest,
        )
        return digest

    def of_folder(self, local: LocalTree, selections: Sequence[Selection]) -> Digest:
        """The checksum of a part of a folder of this machine.

        Raises:
            ChangedError: if something in it changes meanwhile.
            SourceError: as `engine.cache.content.selection.checksum`.
        """
        try:
            return self._walk(local).checksum(selections)
        finally:
            self._save()

    def of_folders(self, questions: Iterable[tuple[LocalTree, Sequence[Selection]]]) -> list[Digest | EngineError]:
        """The checksums of parts of folders, or why there are none. Raises StateError."""
        found: list[Digest | EngineError] = []
        try:
            for local, selections in questions:
                try:
                    found.append(self._walk(local).checksum(selections))
                except EngineError as error:
                    found.append(error)
        finally:
            self._save()
        return found

    def _save(self) -> None:
        for files in self._files.values():
            files.save()

    def compare(self, local: LocalTree, selections: Sequence[Selection], before: Digest) -> TreeChanges | None:
        """How a part of a folder differs from what had another checksum; None if that cannot be told.

        Raises as `of_folder`.
        """
        return self._compare(self._walk(local), selections, before)

    def compare_snapshot(
        self, snapshot: Snapshot, tree: Tree, selections: Sequence[Selection], before: Digest
    ) -> TreeChanges | None:
        """The same for a part of a snapshot that is on this machine, read through `tree`. Raises as `of_snapshot`."""
        return self._compare(self._walk_snapshot(snapshot, tree, selections), selections, before)

    def _compare(self, walk: Walk, selections: Sequence[Selection], before: Digest) -> TreeChanges | None:
        with suppress(OSError):  # what cannot be read any more will be told by the step that reads it
            return self._trees.compare(walk, selections, before)
        return None

    def remember(self, questions: Iterable[tuple[Result, Sequence[Selection]]]) -> None:
        """Keeps what is in parts of results, to compare it with later: of snapshots those that were read in this build.

        Raises as `of_folder`, and StateError.
        """
        with suppress(OSError):
            self._trees.remember(
                (walk, selections)
                for result, selections in questions
                if (walk := self._walk_known(result, selections)) is not None
            )

    def _walk_known(self, result: Result, selections: Sequence[Selection]) -> Walk | None:
        if isinstance(result, LocalTree):
            return self._walk(result)
        return self._walks.get((_name(result), _text(selections)))

    def _walk_snapshot(self, snapshot: Snapshot, tree: Tree, selections: Sequence[Selection]) -> Walk:
        """One for each question, for they are asked from many threads."""
        return self._walks.setdefault((_name(snapshot), _text(selections)), Walk(tree, KeptDigests(tree)))

    def _walk(self, local: LocalTree) -> Walk:
        view = open_tree(local)
        known = self._files.get(local.path)
        if known is None:
            known = self._files.setdefault(local.path, KnownFiles(self._state, local.path, self.reading))
        files = view.folder.once(self._state, lambda: FileDigests(known, view.folder))
        return view.folder.once((self._state, local), lambda: Walk(view, files))

    @cached_property
    def _trees(self) -> KnownTrees:
        return KnownTrees(self._state)

    def of(self, result: Result, tree: Tree, selections: Sequence[Selection]) -> Digest:
        """The checksum of a part of a result, whichever it is. Raises SourceError."""
        if isinstance(result, LocalTree):
            return self.of_folder(result, selections)
        return self.of_snapshot(result, tree, selections)


def _name(snapshot: Snapshot) -> str:
    return sha256(" ".join(snapshot.layers).encode())


def _text(selections: Sequence[Selection]) -> str:
    return json.dumps([astuple(selection) for selection in selections], separators=(",", ":"))

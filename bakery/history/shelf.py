"""The builds of a state folder: listed, found by name, taken away."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError, did_you_mean
from bakery.history.summary import UNREADABLE, BuildSummary, is_going, read_summary

if TYPE_CHECKING:
    from bakery.history.record import RecordedBuild

STEP_LOGS = "logs"
"""Where the engine keeps the whole logs of steps, in a folder for each build (see `engine.state`)."""
BUILDS = "builds"
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_LAST = re.compile(r"last(?:~(\d+))?")


class Shelf:
    """All builds recorded in a state folder. Reading needs no lock: a build that goes is read as far as it is."""

    def __init__(self, root: Path) -> None:
        self._folder = root / BUILDS
        self._step_logs = root / STEP_LOGS

    def ids(self) -> list[str]:
        """The IDs of all builds, the oldest first."""
        try:
            return sorted(name for name in os.listdir(self._folder) if _ID.fullmatch(name))
        except FileNotFoundError:
            return []

    def list(self, limit: int | None = None) -> list[BuildSummary]:
        """The latest builds, the newest first; what cannot be read is left out."""
        found: list[BuildSummary] = []
        for id_ in reversed(self.ids()):
            if limit is not None and len(found) >= limit:
                break
            summary = self._summary(id_)
            if summary is not None:
                found.append(summary)
        return found

    def find(self, name: str) -> str:
        """The ID that a name means: an ID, its beginning or its end, `last`, or `last~N` for the Nth before.

        Raises BakeryError if there is none, or more than one.
        """
        ids = self.ids()
        if not ids:
            raise BakeryError.of("no build is recorded yet", hint="run `bakery build` first")
        if match := _LAST.fullmatch(name):
            back = int(match[1] or 0)
            if back >= len(ids):
                raise BakeryError.of(f"there is no build {name!r}: only {len(ids)} are recorded")
            return ids[-1 - back]
        if name in ids:
            return name
        found = [id_ for id_ in ids if name and (id_.startswith(name) or id_.endswith(f"-{name}"))]
        if len(found) == 1:
            return found[0]
        if found:
            raise BakeryError.of(f"{name!r} may be any of {len(found)} builds: {', '.join(found[-5:])}")
        near = did_you_mean(name, ids)
        hint = f"did you mean {near!r}?" if near else "`bakery history ls` lists the builds"
        raise BakeryError.of(f"there is no build {name!r}", hint=hint)

    def open(self, name: str) -> RecordedBuild:
        """A build by name, as `find` takes it. Raises BakeryError if there is none, or it cannot be read."""
        from bakery.history.record import read_build

        id_ = self.find(name)
        summary = self._summary(id_)
        if summary is None:
            raise BakeryError.of(f"the record of build {id_} cannot be read", hint=f"bakery history rm {id_}")
        build = read_build(self._folder / id_, summary)
        try:
            build.check()
        except UNREADABLE:
            raise BakeryError.of(f"the record of build {id_} is damaged", hint=f"bakery history rm {id_}") from None
        return build

    def before(self, id_: str) -> str | None:
        """The build before one that was made in the same folder for one of the same targets, if there is any."""
        this = self._summary(id_)
        for other in reversed([other for other in self.ids() if other < id_]):
            summary = self._summary(other)
            if this and summary and summary.folder == this.folder and set(summary.targets) & set(this.targets):
                return other
        return None

    def remove(self, id_: str) -> bool:
        """Takes a build away; False if it is still going."""
        folder = self._folder / id_
        if is_going(folder):
            return False
        # Out of sight at once: a half removed build must never be read.
        hidden = self._folder / f".{id_}"
        try:
            os.replace(folder, hidden)
        except FileNotFoundError:
            return True
        shutil.rmtree(hidden, ignore_errors=True)
        shutil.rmtree(self._step_logs / id_, ignore_errors=True)
        return True

    def prune(self, keep: int) -> int:
        """Takes the oldest builds away until no more than `keep` are left, and older logs of steps; how many went."""
        ids = self.ids()
        too_many = ids[: max(0, len(ids) - keep)]
        if not too_many:
            return 0
        removed = sum(self.remove(id_) for id_ in too_many)
        self._remove_older_logs()
        return removed

    def bytes_of(self, id_: str) -> int:
        """What a build takes on the disk: its record and the whole logs of its steps."""
        return sum(map(_bytes_in, (self._folder / id_, self._step_logs / id_)))

    def shrink(self, most: int) -> int:
        """Takes the oldest builds away until the rest take no more bytes than that; the latest stays. How many went."""
        ids, left = self.ids(), most
        for at in range(len(ids) - 1, -1, -1):
            left -= self.bytes_of(ids[at])
            if left < 0:
                return sum(self.remove(id_) for id_ in ids[: min(at + 1, len(ids) - 1)])
        return 0

    def _remove_older_logs(self) -> None:
        """Logs of what was no recorded build (a frontend asking, a library's call) go when builds of their age do."""
        kept = self.ids()
        try:
            limit = (self._folder / kept[0]).stat().st_mtime if kept else time.time()
            others = [entry for entry in os.scandir(self._step_logs) if entry.is_dir() and entry.name not in kept]
        except OSError:
            return
        for entry in others:
            if entry.stat().st_mtime < limit:
                shutil.rmtree(entry.path, ignore_errors=True)

    def _summary(self, id_: str) -> BuildSummary | None:
        return read_summary(self._folder / id_)


def _bytes_in(folder: Path) -> int:
    try:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder))
    except OSError:
        return 0

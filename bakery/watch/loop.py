"""The loop of a watch: which targets are outdated after a change, which build is, and what is to be built next.

A target is outdated when its fingerprint is not the one that its last build began with. So saving a file builds exactly
the targets that take it, a change that no target takes builds nothing, and a build is interrupted only when one of its
own targets is outdated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import trio

from bakery.values import frozen
from bakery.watch.command import Command, Fingerprints, interrupt
from bakery.watch.files import changes

Say = Callable[[str], None]
_WAITING = "watching for changes; Ctrl-C ends it"


@frozen
class Changed:
    """Files that changed, as they are shown."""

    paths: tuple[str, ...]


@frozen
class Ended:
    """The build that was started last has ended."""


class Watch:
    """A watch over the targets of a command."""

    def __init__(self, command: Command, folder: Path, root: Path, say: Say, files: Iterable[Path] = ()) -> None:
        """`files` are known to count before anything is read: those that the command names."""
        self._command = command
        self._folder = folder
        self._root = root.resolve()
        self._files = frozenset(files)
        self._say = say
        self._begun: dict[str, str | None] = {}
        self._waiting: set[str] = set()
        self._building: set[str] = set()
        self._process: trio.Process | None = None
        self._watched: tuple[frozenset[Path], frozenset[Path]] = (frozenset(), frozenset())
        self._watching = trio.CancelScope()

    async def run(self) -> None:
        """Builds everything, and then what changes, until it is cancelled."""
        self._send, receive = trio.open_memory_channel[Changed | Ended](100)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._watch_folders(None)  # which ends in the first look
                async for event in receive:
                    if isinstance(event, Changed):
                        await self._look(event)
                    else:
                        self._building.clear()
                    await self._go_on()
        finally:
            with trio.CancelScope(shield=True):
                if self._process is not None:
                    await interrupt(self._process)

    async def _look(self, event: Changed) -> None:
        now = await self._command.fingerprints()
        self._watch_folders(now)
        if now is None:
            self._say(_WAITING)
        else:
            outdated = self._outdated(now)
            if outdated and self._begun:
                self._say(f"{_listed(event.paths) or 'something'} changed: {_listed(sorted(outdated))}")
            self._waiting |= outdated
            self._begun = now.targets
            if self._building & outdated and self._process is not None and self._process.poll() is None:
                self._waiting |= self._building & now.targets.keys()
                await interrupt(self._process)

    def _outdated(self, now: Fingerprints) -> set[str]:
        """What cannot be known counts as changed: the build will say what is wrong."""
        return {name for name, key in now.targets.items() if key is None or key != self._begun.get(name)}

    async def _go_on(self) -> None:
        if self._building or not self._waiting:
            return
        self._building, self._waiting = self._waiting, set()
        self._process = await self._command.start(self._building)
        self._nursery.start_soon(self._follow, self._process)

    async def _follow(self, process: trio.Process) -> None:
        await process.wait()
        self._say(_WAITING)
        await self._send.send(Ended())

    def _watch_folders(self, now: Fingerprints | None) -> None:
        """Watches the folder of the command, those of contexts outside of it, and every other file that was read."""
        if now is None:
            # What is wrong may be put right where it was looked for the last time.
            folders, files = self._watched[0], self._files | self._watched[1]
        else:
            folders, files = frozenset(now.folders), self._files.union(now.files)
        whole = {self._folder.resolve(), *(folder.resolve() for folder in folders if folder.is_dir())}
        deep = frozenset(one for one in whole if not any(other in whole for other in one.parents))
        # A folder may go and come again; a file may be a link to where it really is.
        single = {*folders, *files, *(path.resolve() for path in files)}
        here = self._folder.resolve()
        beside = frozenset(
            path for path in single if path.parent.is_dir() and path.resolve() != here and not _within(path, deep)
        )
        if (deep, beside) != self._watched:
            self._watched = deep, beside
            self._watching.cancel()
            self._watching = trio.CancelScope()
            self._nursery.start_soon(self._watch, deep, beside, self._watching)

    async def _watch(self, deep: frozenset[Path], beside: frozenset[Path], scope: trio.CancelScope) -> None:
        def counts(path: Path) -> bool:
            return ".git" not in path.parts and not path.is_relative_to(self._root)

        with scope:
            async with trio.open_nursery() as nursery:
                if beside:
                    nursery.start_soon(self._tell, {path.parent for path in beside}, beside.__contains__, False)
                await self._tell(deep, counts, True)

    async def _tell(self, folders: Iterable[Path], counts: Callable[[Path], bool], deep: bool) -> None:
        """What may have changed before the watch began is found by looking once more when it has."""
        async for paths in changes(folders, counts, deep=deep):
            await self._send.send(Changed(tuple(sorted(self._shown(path) for path in paths))))

    def _shown(self, path: Path) -> str:
        here = self._folder.resolve()
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.parent.resolve().is_relative_to(folder) for folder in folders)


def _listed(words: Collection[str]) -> str:
    first = [*words][:3]
    return ", ".join(first) + (f" and {len(words) - 3} more" if len(words) > 3 else "")

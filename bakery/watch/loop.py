"""The loop of a watch: which targets are outdated after a change, which build is, and what is to be built next.

A target is outdated when its fingerprint is not the one that its last build began with. So saving a file builds exactly
the targets that take it, a change that no target takes builds nothing, and a build is interrupted only when one of its
own targets is outdated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import trio

from bakery.values import frozen
from bakery.watch.command import Command, Fingerprints, interrupt
from bakery.watch.files import changes

Say = Callable[[str], None]


@frozen
class Changed:
    """Files that changed, as they are shown."""

    paths: tuple[str, ...]


@frozen
class Ended:
    """The build that was started last has ended."""


class Watch:
    """A watch over the targets of a command."""

    def __init__(self, command: Command, folder: Path, root: Path, say: Say) -> None:
        self._command = command
        self._folder = folder
        self._root = root
        self._say = say
        self._begun: dict[str, str | None] = {}
        self._waiting: set[str] = set()
        self._building: set[str] = set()
        self._process: trio.Process | None = None
        self._folders: frozenset[Path] = frozenset()
        self._watching = trio.CancelScope()

    async def run(self) -> None:
        """Builds everything, and then what changes, until it is cancelled."""
        self._send, receive = trio.open_memory_channel[Changed | Ended](100)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._look(Changed(()))
                await self._go_on()
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
        self._watch_folders(now.folders if now else ())
        if now is not None:
            outdated = self._outdated(now)
            if event.paths and outdated:
                self._say(f"{_listed(event.paths)} changed: {_listed(sorted(outdated))}")
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
        self._say("watching for changes; Ctrl-C ends it")
        await self._send.send(Ended())

    def _watch_folders(self, more: Collection[Path]) -> None:
        """Watches the folder of the command and those of contexts outside of it."""
        outside = {path for path in more if path.is_dir() and not path.is_relative_to(self._folder)}
        folders = frozenset({self._folder, *(self._folders if not more else outside)})
        if folders != self._folders:
            self._folders = folders
            self._watching.cancel()
            self._watching = trio.CancelScope()
            self._nursery.start_soon(self._watch, folders, self._watching)

    async def _watch(self, folders: frozenset[Path], scope: trio.CancelScope) -> None:
        with scope:
            async for paths in changes(folders, self._root):
                await self._send.send(Changed(tuple(sorted(self._shown(path) for path in paths))))

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._folder)) if path.is_relative_to(self._folder) else str(path)


def _listed(words: Collection[str]) -> str:
    first = [*words][:3]
    return ", ".join(first) + (f" and {len(words) - 3} more" if len(words) > 3 else "")

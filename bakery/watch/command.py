"""The builds of a watch: the command as it was given, as processes of their own, for some of its targets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import trio

from bakery.values import frozen

FLAG = "--watch"
GRACE = 30.0
"""Seconds that an interrupted build may take to end."""


@frozen
class Fingerprints:
    """What the targets come to now, and what this depends on: folders with all that is in them, and bake files."""

    targets: dict[str, str | None]
    folders: tuple[Path, ...]
    files: tuple[Path, ...] = ()


@frozen
class Command:
    """`bakery build --watch …` as it was typed. What stands in the place of `--watch` makes the single builds."""

    arguments: Sequence[str]

    async def fingerprints(self) -> Fingerprints | None:
        """What a build would come to now; None if that cannot be told, for which the reason is on stderr."""
        done = await trio.run_process(self._with("--fingerprints"), capture_stdout=True, check=False)
        if done.returncode:
            return None
        told = json.loads(done.stdout)
        return Fingerprints(told["targets"], tuple(map(Path, told["folders"])), tuple(map(Path, told["files"])))

    async def start(self, targets: Iterable[str]) -> trio.Process:
        """A build of some of the targets."""
        only = [word for name in sorted(targets) for word in ("--only", name)]
        return await trio.lowlevel.open_process(self._with(*only), stdin=subprocess.DEVNULL)

    def _with(self, *words: str) -> list[str]:
        at = self.arguments.index(FLAG)
        given = [*self.arguments[:at], *words, *self.arguments[at + 1 :]]
        return [sys.executable, "-m", "bakery.cli.main", *given]


async def interrupt(process: trio.Process) -> None:
    """Ends a build as Ctrl-C does, and by force if it takes too long."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with trio.move_on_after(GRACE):
            await process.wait()
            return
        process.kill()
        await process.wait()

"""Writes one build down while it goes. Nothing it meets, a full disk say, ever disturbs the build."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bakery.config.target import Project
from bakery.history import layers
from bakery.history.facts import Facts, gather
from bakery.history.git_state import Checkout, find_checkout, is_changed
from bakery.history.lines import Encoder, without_credentials
from bakery.history.shelf import BUILDS, Shelf
from bakery.history.summary import EVENTS, FACTS, LOGS, RESULT
from engine.events import Event
from engine.request import BuildResult, TargetResult

if TYPE_CHECKING:
    from engine.cache.policy import DiskSpace

PERIOD = 0.5
"""Seconds between two writings: what a killed process loses at most."""
MANY = 2000
"""Events that are not left waiting for the next writing."""
INTERRUPTED = "interrupted"
"""The error of a build that somebody ended."""
KEPT_METADATA = ("containerimage.digest", "containerimage.config.digest", "image.name")
"""What is kept of an exporter's response; attestations, which may quote arguments, are not."""

MOST = 2 << 30
"""Bytes that all builds may take together, the latest apart, where no setting says otherwise."""
BIG = 4 << 20
"""Bytes of a build that make it worth a look at what all take: without such, their number keeps them small."""


def new_id() -> str:
    """A name for a build: sortable by time (UTC, to 1/4096 of a second), short, and hardly like any other."""
    now = time.time()
    part = int(now % 1 * 4096) << 4 | os.urandom(1)[0] & 15
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{part:04x}"


class Recorder:
    """One build on its way into `ROOT/builds/ID`. `listen` is the engine's listener.

    As with the display, the writing thread begins with the first event, when the engine has entered its namespaces.
    """

    def __init__(self, root: Path, keep: int, space: DiskSpace | None = None) -> None:
        self.id = new_id()
        self.root = root
        self._shelf = Shelf(root)
        self._keep = keep
        self._space = space
        self._began = time.time()
        self._queue: deque[Event] = deque()
        self._encoder = Encoder()
        self._wake = threading.Event()
        self._over = False
        self._thread: threading.Thread | None = None
        self._files: tuple[BinaryIO, BinaryIO] | None = None
        self._checkout: Checkout | None = None
        self._changed: bool | None = None
        self._asked = False
        self.fault: Exception | None = None
        """Why nothing more is written, if that is so."""

    def begin(self, project: Project, argv: list[str], env: Mapping[str, str], cwd: Path) -> None:
        """Writes what is known so far."""
        try:
            self._checkout = find_checkout(cwd)
            facts = gather(project, argv, env, cwd, self._checkout)
            self._make_folder()
            facts = {"id": self.id, "began": self._began, **facts}
            events, logs = (_append(self.folder / name) for name in (EVENTS, LOGS))
            fcntl.flock(events, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._files = events, logs
            self._write_json(FACTS, facts)
        except Exception as fault:  # no history is better than no build
            self._give_up(fault)

    @property
    def folder(self) -> Path:
        """Where it is written."""
        return self.root / BUILDS / self.id

    def _make_folder(self) -> None:
        (self.root / BUILDS).mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            try:
                return self.folder.mkdir(mode=0o700)
            except FileExistsError:  # another build began in the same moment, or there is a file in the way
                if not (self.root / BUILDS).is_dir():
                    raise
                self.id = new_id()

    def listen(self, event: Event) -> None:
        """Takes an event in; returns at once and never raises."""
        if self._files is None:
            return
        self._queue.append(event)
        if self._thread is None:
            self._start()
        elif len(self._queue) > MANY:
            self._wake.set()

    def finish(self, result: BuildResult) -> None:
        """Writes how the build ended, and takes the oldest builds away that are too many."""
        ids = [layer for t in result.targets.values() for chain in t.layers.values() for layer in chain]
        self._end(
            {
                "targets": {name: _target(target) for name, target in result.targets.items()},
                "layers": {id_: _safe(about) for id_, about in layers.describe(self.root, ids).items()},
                **({"error": INTERRUPTED} if result.stopped else {}),
            }
        )

    def fail(self, error: BaseException) -> None:
        """Writes that the build could not be done at all, or was interrupted."""
        parts = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        interrupted = any(isinstance(part, KeyboardInterrupt) for part in parts)
        self._end({"error": INTERRUPTED if interrupted else without_credentials(str(error))[:10_000]})

    def _start(self) -> None:
        try:
            self._thread = threading.Thread(target=self._run, name="history", daemon=True)
            self._thread.start()
        except RuntimeError as fault:
            self._give_up(fault)

    def _run(self) -> None:
        while not self._over:
            self._wake.wait(PERIOD)
            self._wake.clear()
            self._drain()

    def _drain(self) -> None:
        try:
            while self._queue:
                self._encoder.feed(self._queue.popleft())
            self._write()
            if self._encoder.worked and not self._asked:
                self._asked = True
                self._changed = is_changed(self._checkout) if self._checkout else None
        except Exception as fault:  # as in `begin`
            self._give_up(fault)

    def _end(self, end: Facts) -> None:
        self._over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        if self._files is None:
            return
        self._drain()
        try:
            self._encoder.finish()
            self._write()
            git = {"changed": self._changed} if self._changed is not None else {}
            self._write_json(RESULT, {"ended": time.time(), **end, **git})
            self._close()
            self._shelf.prune(self._keep)
            if self._space is not None:
                self._shelf.shrink(self._space.of(shutil.disk_usage(self.root).total))
            elif self._shelf.bytes_of(self.id) > BIG:
                self._shelf.shrink(MOST)
        except Exception as fault:  # as in `begin`
            self._give_up(fault)

    def _write(self) -> None:
        if self._files is not None:
            for file, text in zip(self._files, (self._encoder.events(), self._encoder.logs()), strict=True):
                if text:
                    file.write(text.encode())

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        temporary = self.folder / f".{name}"
        temporary.write_text(json.dumps(value, separators=(",", ":")) + "\n")
        os.replace(temporary, self.folder / name)

    def _close(self) -> None:
        for file in self._files or ():
            file.close()
        self._files = None

    def _give_up(self, fault: Exception) -> None:
        self.fault = self.fault or fault
        self._queue.clear()
        try:
            self._close()
        except OSError:
            self._files = None


def _append(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "wb", buffering=0)


def _target(target: TargetResult) -> Facts:
    found: Facts = {"outcome": target.outcome.value, "seconds": round(target.seconds, 4)}
    found |= {"steps": target.steps, "hits": target.hits}
    metadata = {key: target.metadata[key] for key in KEPT_METADATA if key in target.metadata}
    optional = {"metadata": metadata, "size": target.size, "layers": target.layers}
    found |= {key: value for key, value in optional.items() if value}
    if target.error is not None:
        found["error"] = without_credentials(str(target.error))[:10_000]
        if vertex := getattr(target.error, "vertex", ""):
            found["step"] = vertex
    return found


def _safe(layer: Facts) -> Facts:
    return layer | {"by": without_credentials(layer["by"])}

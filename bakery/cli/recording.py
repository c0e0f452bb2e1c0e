"""What a build leaves in the history."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.config.target import Project
from bakery.history.recorder import Recorder
from engine.events import Event, Listener
from engine.state import default_root

if TYPE_CHECKING:
    from bakery.history.durations import Durations
    from engine.cache.policy import DiskSpace

KEEP = 100
"""Builds that are kept where no setting says otherwise."""


@contextmanager
def recording(
    project: Project, root: Path | None, keep: int | None = None, space: DiskSpace | None = None
) -> Iterator[Recorder]:
    """A recorder for a build that is made inside the block; whoever leaves it with an error has that recorded."""
    recorder = Recorder(root or default_root(), KEEP if keep is None else keep, space)
    recorder.begin(project, sys.argv, os.environ, Path.cwd())
    try:
        yield recorder
    except BaseException as error:
        recorder.fail(error)
        raise


def past_durations(root: Path | None) -> Durations:
    """How long steps took in the latest builds of this folder."""
    from bakery.history import durations
    from bakery.history.shelf import Shelf

    return durations.past_durations(Shelf(root or default_root()), str(Path.cwd()))


def telling_all(*listeners: Listener) -> Listener:
    """One listener that tells several."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell

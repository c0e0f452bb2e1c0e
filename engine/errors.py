"""What the engine raises on purpose. Each error says what happened and where it was written; some know the next step.

EngineError
├── DefinitionError      a graph, Dockerfile or request that makes no sense (with places)
├── SourceError          an image, repository, URL or folder that cannot be had
│   ├── RegistryError    a registry's answer, with its evidence
│   └── LostLayerError   a layer that is gone; another try makes it anew
├── StepError            a step that failed
│   └── ExitError        … by its exit code or a signal
├── TimeError            a build that took longer than it may
├── EntitlementError     something asked for that was not allowed
├── ExportError          a result that could not be written or pushed
│   └── WithheldError    … that was not, for another one failed
├── StateError           the state folder: unreadable, full, of another version
│   ├── DamagedState     … its database is damaged, and will be mended
│   └── ShortageError    … its disk is nearly full: the build was stopped
└── UnsupportedError     what this machine cannot do, and what to install
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from engine.llb.definition import Place

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""What the operating system answers when a disk, or a user's share of it, is full."""
SPACE_HINT = "free some space, for instance with `bakery prune`"


def disk_hint(error: OSError, otherwise: str = "") -> str:
    """The next step after something that the operating system refused: to make room if the disk is full."""
    return SPACE_HINT if error.errno in NO_SPACE else otherwise


class EngineError(Exception):
    """The root. `places` are the user's lines behind it, `vertex` the step that wanted it, `hint` the next step."""

    def __init__(self, message: str, *, places: tuple[Place, ...] = (), vertex: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.places = places
        self.vertex = vertex
        self.hint = hint

    def at(self, places: tuple[Place, ...], vertex: str = "") -> EngineError:
        """This error, with a place and a vertex where it had none yet."""
        self.places = self.places or places
        self.vertex = self.vertex or vertex
        return self

    def __str__(self) -> str:
        return self.message


class DefinitionError(EngineError):
    """A graph, a Dockerfile or a request that makes no sense."""


class SourceError(EngineError):
    """An image, repository, URL or folder that cannot be had."""


class RegistryError(SourceError):
    """A registry's answer. `status` is its HTTP status, 0 when there was none."""

    def __init__(self, message: str, *, status: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class LostLayerError(SourceError):
    """A layer of an imported cache or an earlier build is gone. Its results are forgotten; another try makes them."""


class StepError(EngineError):
    """A step that failed. `log` is the end of what it said, `log_path` the file that holds all of it."""

    def __init__(
        self,
        message: str,
        *,
        places: tuple[Place, ...] = (),
        vertex: str = "",
        hint: str = "",
        log: bytes = b"",
        log_path: Path | None = None,
    ) -> None:
        super().__init__(message, places=places, vertex=vertex, hint=hint)
        self.log = log
        self.log_path = log_path


class ExitError(StepError):
    """A process that ended with another exit code than it may: 128 + N for the signal N."""

    def __init__(self, command: str, exit_code: int, *, log: bytes = b"", log_path: Path | None = None) -> None:
        super().__init__(
            f'process "{command}" did not complete successfully: exit code: {exit_code}', log=log, log_path=log_path
        )
        self.exit_code = exit_code


class TimeError(EngineError):
    """A build that took longer than it may."""


class EntitlementError(EngineError):
    """Something asked for that was not allowed."""


class ExportError(EngineError):
    """A result that could not be written or pushed."""


class WithheldError(ExportError):
    """A result that is not written because another one failed, and all or nothing was asked for."""


class StateError(EngineError):
    """The state folder: unreadable, full, or of another version."""


class DamagedState(StateError):
    """The database of the state folder is damaged. Whoever opens the folder next saves what can be saved."""


class ShortageError(StateError):
    """The disk of the state folder is nearly full, and the build was stopped to leave room for others."""


class UnsupportedError(EngineError):
    """What this machine cannot do; the hint says what to install."""

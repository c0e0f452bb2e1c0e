"""What passes the engine's front door: a build request in, a build result out. Both are frozen values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from engine.digests import Digest
from engine.exporters.contract import Attest, Export
from engine.frontends.contract import FrontendRequest, PlatformResult
from engine.llb.definition import Vertex
from engine.results import LayerID
from engine.stop import Stop
from engine.values import frozen

if TYPE_CHECKING:
    from engine.cache.export_policy import ExportPolicy


@frozen
class Secret:
    """Where a secret's value is: a file, a variable of this process's environment, or what a command of this machine
    says, run in the folder `path`. Values never pass a door.
    """

    id: str
    path: Path | None = None
    env: str | None = None
    command: str | None = None
    version: str = ""
    """Part of the cache key of steps that use the secret, if it is not empty; the value never is."""

    @property
    def place(self) -> str:
        """Where the value is, for people."""
        if self.command is not None:
            return f"what `{self.command}` says"
        return f"the variable {self.env}" if self.env is not None else str(self.path)


@frozen
class SSHAgent:
    """An agent socket or key files for `--mount=type=ssh`."""

    id: str
    paths: tuple[Path, ...] = ()

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return ", ".join(map(str, self.paths)) or "the user's own"


@frozen
class CacheBackend:
    """A cache to import from or export to: `type` and attributes as in buildkit.md §6."""

    type: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@frozen
class Shell:
    """A shell on the user's terminal, to look around in a step's file system with its mounts and environment.

    It opens where a step fails or, if `instead_of` is a vertex, in place of that one. `opening` is entered while it is
    open, with the name of the step: whoever else writes to the terminal keeps still.
    """

    opening: Callable[[str], AbstractContextManager[None]]
    instead_of: Digest | None = None


@frozen
class Wanted:
    """One target: the results that are wanted of it, and where they go."""

    name: str
    platforms: tuple[PlatformResult, ...]
    multi: bool = False
    exports: tuple[Export, ...] = ()
    cache_from: tuple[CacheBackend, ...] = ()
    cache_to: tuple[CacheBackend, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ssh: tuple[SSHAgent, ...] = ()
    entitlements: frozenset[str] = frozenset()
    epoch: int | None = None
    attests: tuple[Attest, ...] = ()
    request: FrontendRequest | None = None
    """What the frontend was asked, for provenance to tell."""
    provenance: str = ""
    """The provenance that the response is to hold: `min`, `max` or none."""


class StepNetwork(Enum):
    """The network of steps that ask for none in particular."""

    SHARED = "shared"
    """This machine's."""
    PRIVATE = "private"
    """One of each step's own, from which what is outside can be reached."""


class OnError(Enum):
    """What happens to the other targets when one fails."""

    KEEP_GOING = "keep-going"
    FAIL_FAST = "fail-fast"
    PUBLISH_ALL_OR_NOTHING = "publish-all-or-nothing"
    """They are built, but no target's outputs are written unless all are built."""


@frozen
class BuildRequest:
    """Everything that one call wants, as one graph.

    `vertices` is the merged graph of all targets. `folders` gives the folder behind each `local.session`.
    `allowed` are the entitlements granted on the command line.
    """

    vertices: Mapping[Digest, Vertex]
    wanted: tuple[Wanted, ...]
    folders: Mapping[str, Path] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()
    jobs: int | None = None
    """How many steps may run at once; None: max(16, 4 × cores)."""
    jobs_each: int | None = None
    """How many steps of one target may run at once; None: as many as of all."""
    on_error: OnError = OnError.KEEP_GOING
    project: str = ""
    """The folder that tells targets of the same name apart where builds are remembered."""
    cache_export: ExportPolicy | None = None
    """Which steps' results go into exported caches; None for all."""
    timeout: float | None = None
    """Seconds that the build may take."""
    step_timeout: float | None = None
    """Seconds that each step may take."""
    step_network: StepNetwork = StepNetwork.SHARED
    shell: Shell | None = None
    stop: Stop = field(default_factory=Stop)
    """By which the build can be ended."""
    id: str = ""
    """The name of the build, which its full logs are kept under; empty to have one made."""


class Outcome(Enum):
    """How a target ended."""

    SUCCEEDED = "succeeded"
    CACHED = "cached"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_STARTED = "not started"


@frozen
class TargetResult:
    """How one target ended, what its exporters said, and what went wrong."""

    name: str
    outcome: Outcome
    metadata: Mapping[str, str] = field(default_factory=dict)
    error: Exception | None = None
    steps: int = 0
    hits: int = 0
    seconds: float = 0.0
    size: int = 0
    """Bytes of the biggest output: of an image all its blobs as they are packed, else the files; 0 without any."""
    layers: Mapping[str, tuple[LayerID, ...]] = field(default_factory=dict)
    """The layers of each platform's result, the lowest first; empty if there is none."""


@frozen
class BuildResult:
    """How everything ended, by target name in the order of the request."""

    targets: Mapping[str, TargetResult]
    stopped: bool = False
    """Whether somebody ended the build."""

    @property
    def failed(self) -> bool:
        """Whether any target did not end well."""
        return any(t.outcome not in (Outcome.SUCCEEDED, Outcome.CACHED) for t in self.targets.values())

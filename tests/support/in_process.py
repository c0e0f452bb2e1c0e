"""A project built by the real engine in this process: what was run, and why."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakery import config
from bakery.config.request import LoadRequest
from bakery.graph.build import BuildOptions, run_build
from engine.events import Decided, Event, How, VertexCompleted, VertexKnown, VertexStarted
from engine.request import BuildResult


@dataclass
class Built:
    """How a build ended, and everything that it told."""

    result: BuildResult
    events: list[Event]

    @property
    def names(self) -> dict[str, str]:
        """The name of each vertex."""
        return {e.digest: e.name for e in self.events if isinstance(e, VertexKnown)}

    @property
    def ran(self) -> list[str]:
        """The instructions that were run, without what their names begin with."""
        return sorted(self._short(digest) for digest in self.why)

    @property
    def why(self) -> dict[str, Decided]:
        """What was decided about each vertex that had to run."""
        return {e.digest: e for e in self.events if isinstance(e, Decided) and e.how is How.RUN}

    def reason(self, text: str) -> Decided:
        """Why the one step with `text` in its name had to run."""
        (found,) = (e for digest, e in self.why.items() if text in self.names[digest])
        return found

    @property
    def started(self) -> list[str]:
        """Everything that was begun, sources that were fetched and exports as well."""
        cached = {e.digest for e in self.events if isinstance(e, VertexCompleted) and e.cached}
        begun = [e.digest for e in self.events if isinstance(e, VertexStarted) and e.digest not in cached]
        return [self.names[digest] for digest in begun]

    def _short(self, digest: str) -> str:
        return self.names[digest].partition("] ")[2] or self.names[digest]


@dataclass
class Workplace:
    """A folder with a bake file, and a state folder."""

    folder: Path
    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def build(
        self,
        *targets: str,
        overrides: tuple[str, ...] = (),
        no_cache: bool | None = None,
        hear: Callable[[Event], object] = lambda event: None,
        **how: Any,
    ) -> Built:
        """Builds; what fails is in the result. `how` are fields of BuildOptions; `hear` is told what happens."""
        environ = {**os.environ, **self.environ}
        request = LoadRequest(
            targets=targets, overrides=overrides, no_cache=no_cache, env=environ, cwd=self.folder, strict=None
        )
        project = config.load(request)
        events: list[Event] = []

        def listen(event: Event) -> None:
            events.append(event)
            hear(event)

        result = run_build(project, BuildOptions(root=self.root, cwd=self.folder, **how), listen)
        return Built(result, events)

    def build_well(self, *targets: str, **how: Any) -> Built:
        """A build that must succeed."""
        built = self.build(*targets, **how)
        for target in built.result.targets.values():
            if target.error:
                raise target.error
        return built

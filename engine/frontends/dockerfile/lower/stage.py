"""A stage while it is lowered, and the commands in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING

from engine.frontends.contract import ImageConfig
from engine.frontends.dockerfile.instructions import ArgName, From, Instruction
from engine.frontends.dockerfile.lower.config import Image
from engine.llb.ops import Platform
from engine.llb.paths import clean, join
from engine.llb.state import State, scratch
from engine.values import record

if TYPE_CHECKING:
    from engine.frontends.dockerfile.lower.named import NamedContext

SCRATCH = "scratch"


@record
class Command:
    """An instruction in a stage. `sources` are the stages that it takes files from, one for each mount of RUN."""

    instruction: Instruction
    sources: list[Stage] = field(default_factory=list)
    on_build: bool = False

    __eq__ = object.__eq__
    __hash__ = object.__hash__


@record
class Stage:
    """A stage, or an image that only gives files (`unregistered`: it stands in no FROM).

    Attributes:
        start: its FROM, None if it has none.
        base_name: what it is made from, variables replaced.
        lines: where that is written, None if nowhere.
        name: what instructions call it, in lower case; can be empty.
        title: what progress calls it; empty when it is the only one.
        platform: of its image; None until known.
        base: the stage that it is made from.
        dispatched: its state is ready to be used.
        steps: how many of its instructions make a vertex with a number.
        args: the ARGs declared, with their values.
        context_paths: what it uses of the build context.
        paths: what others use of it; shared with the stages made from it.
    """

    start: From | None
    base_name: str
    lines: tuple[int, int] | None
    name: str = ""
    title: str = ""
    platform: Platform | None = None
    base: Stage | None = None
    named: NamedContext | None = None
    commands: list[Command] = field(default_factory=list)
    dependencies: dict[Stage, Instruction] = field(default_factory=dict)
    image: Image = field(default_factory=lambda: Image(Platform()))
    base_config: ImageConfig | None = None
    state: State = field(default_factory=scratch)
    dispatched: bool = False
    resolved: bool = False
    triggers_taken: bool = False
    ignore_cache: bool = False
    unregistered: bool = False
    multi: bool = False
    steps: int = 0
    step: int = 0
    on_build: bool = False
    command_set: bool = False
    args: list[ArgName] = field(default_factory=list)
    context_paths: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def inherit(self) -> None:
        """Takes over what the stage below has become."""
        base = self.base
        if base is None:
            return
        self.state, self.platform = base.state, base.platform
        self.image = base.image.fork()
        self.image.put("OnBuild", None)  # the triggers of a base are instructions here, not triggers again
        self.base_config = base.base_config
        self.paths = base.paths
        self.args = self.args + base.args


class Stages:
    """All stages in order. A name means the last stage that has it so far."""

    def __init__(self) -> None:
        self.all: list[Stage] = []
        self._by_name: dict[str, Stage] = {}

    def add(self, stage: Stage) -> None:
        """Adds a stage; it stands on an earlier one if its base has that name."""
        self.all.append(stage)
        stage.base = self._by_name.get(stage.base_name, stage.base)
        if stage.name:
            self._by_name[stage.name.lower()] = stage

    def find(self, name: str) -> Stage | None:
        """The stage with a name, in any case."""
        return self._by_name.get(name.lower())

    def titles(self) -> list[str]:
        """The names to suggest."""
        return [stage.title for stage in self.all if stage.title]


def reachable(target: Stage) -> dict[Stage, None]:
    """The stages that a stage needs, itself among them, in the order of discovery."""
    seen: dict[Stage, None] = {}
    waiting = [target]
    while waiting:
        stage = waiting.pop()
        if stage in seen:
            continue
        seen[stage] = None
        waiting += [*reversed(stage.dependencies), *([stage.base] if stage.base else [])]
    return seen


def cycle(stages: list[Stage]) -> tuple[Stage, list[Instruction]] | None:
    """A stage in a circle of dependencies, and the instructions that close it; None if there is no circle."""
    visited: set[Stage] = set()
    for start in stages:
        if start in visited:
            continue
        visited.add(start)
        path: dict[Stage, Iterator[tuple[Stage, Instruction]]] = {start: iter(start.dependencies.items())}
        steps: list[Instruction] = []
        while path:
            stage, rest = next(reversed(path.items()))
            for needed, instruction in rest:
                if needed in path:
                    return start, [*steps, instruction]
                if needed not in visited:
                    visited.add(needed)
                    path[needed] = iter(needed.dependencies.items())
                    steps.append(instruction)
                    break
            else:
                del path[stage]
                if steps:
                    steps.pop()
    return None


def used_path(text: str) -> str:
    """A path as an entry of `paths`: absolute and clean."""
    return join("/", text)


def follow_paths(paths: set[str]) -> tuple[str, ...]:
    """The paths to be sent, relative and sorted; none when all of it is needed."""
    if "/" in paths:
        return ()
    return tuple(sorted((clean("./" + path) for path in paths), key=str.encode))

"""What every instruction of one conversion can see, and the hooks for those who watch a conversion go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.frontends.contract import FrontendWarning
from engine.frontends.dockerfile.expand import Expander, ExpansionError
from engine.frontends.dockerfile.instructions import Instruction
from engine.frontends.dockerfile.lower.options import Options
from engine.frontends.dockerfile.lower.stage import Stage
from engine.frontends.dockerfile.source import DockerfileError, Source
from engine.llb.definition import Place
from engine.llb.ops import Platform
from engine.llb.state import Env, State


class Observer:
    """Told of what a conversion comes across. The checks of `bakery check` are observers; this one only listens."""

    def unset(self, instruction: Instruction, names: frozenset[str], stage: Stage) -> None:
        """Variables without a value were asked for."""

    def lowered(self, instruction: Instruction, stage: Stage) -> None:
        """An instruction is done; the stage is as it is after it."""

    def based(self, stage: Stage, wanted: Platform) -> None:
        """The image of a stage is known."""


@dataclass(slots=True)
class Scope:
    """One conversion. `build_context` is not decided before the last instruction; `epoch` is in seconds."""

    source: Source
    options: Options
    build_args: dict[str, str]
    expander: Expander
    platform: Platform
    global_args: Env
    build_context: State
    epoch: int | None
    observer: Observer
    warnings: list[FrontendWarning] = field(default_factory=list)

    def places(self, instruction: Instruction) -> tuple[Place, ...]:
        """Where an instruction stands."""
        return (self.source.place(*instruction.lines),)

    def words(self, stage: Stage, instruction: Instruction) -> Callable[[str], str]:
        """Replaces variables as they are before the instruction.

        The function raises DockerfileError.
        """
        env = stage.state.env

        def expand(word: str) -> str:
            try:
                done = self.expander.full(word, env)
            except ExpansionError as error:
                raise DockerfileError(str(error)) from None
            if done.missing:
                self.observer.unset(instruction, done.missing, stage)
            return done.text

        return expand

    def warn(self, instruction: Instruction, rule: str, description: str, detail: str) -> None:
        """Adds a warning at an instruction."""
        self.warnings.append(FrontendWarning(rule, description, detail, places=self.places(instruction)))

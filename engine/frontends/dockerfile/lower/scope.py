"""What every instruction of one conversion can see, and the hooks for those who watch a conversion go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.frontends.dockerfile.expand import Expander, Expansion, ExpansionError
from engine.frontends.dockerfile.instructions import (
    Add,
    Arg,
    CopyFiles,
    Expose,
    From,
    Instruction,
    Run,
    Transfer,
    Workdir,
)
from engine.frontends.dockerfile.instructions import Env as EnvInstruction
from engine.frontends.dockerfile.lower.options import Options
from engine.frontends.dockerfile.lower.stage import Stage
from engine.frontends.dockerfile.mount import RunMount
from engine.frontends.dockerfile.source import DockerfileError, Source
from engine.llb.definition import Place
from engine.llb.ops import Platform
from engine.llb.state import Env, State
from engine.values import record


class Observer:
    """Told of what a conversion comes across. Checks and outlines are observers; this one only listens."""

    def base_named(self, stage: Stage, start: From, found: Expansion, known: Env) -> None:
        """What a stage is made from has a value; `known` are the variables there."""

    def platform_named(self, stage: Stage, start: From, found: Expansion, known: Env) -> None:
        """The `--platform` of a FROM has a value."""

    def based(self, stage: Stage, wanted: Platform, name: str) -> None:
        """The image of a stage is known; `name` is what was written."""

    def unset(self, instruction: Instruction, names: frozenset[str], stage: Stage) -> None:
        """Variables without a value were asked for."""

    def lowering(self, instruction: Instruction, stage: Stage) -> None:
        """An instruction is about to be lowered."""

    def lowered(self, instruction: Instruction, stage: Stage) -> None:
        """An instruction is done; the stage is as it is after it."""

    def assigned(self, instruction: EnvInstruction, keys: Sequence[str]) -> None:
        """The names of an ENV have their values."""

    def declared(self, instruction: Arg, key: str) -> None:
        """A name of an ARG is declared."""

    def entered(self, instruction: Workdir, stage: Stage, path: str) -> None:
        """A working directory has its value."""

    def exposed(self, instruction: Expose, port: str) -> None:
        """A port has its value."""

    def mounted(self, instruction: Run, stage: Stage, mounts: Sequence[RunMount]) -> None:
        """The mounts of a step have their values."""

    def copied(self, instruction: Add | CopyFiles, transfer: Transfer, dest: str, source: Stage | None) -> None:
        """ADD or COPY has its values; `source`: the stage that files come from, None for the build's context."""

    def copied_file(self, instruction: Add | CopyFiles, path: str) -> None:
        """ADD or COPY takes a path of the build's context."""


@record
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
    labs: bool

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
                if error.missing:
                    self.observer.unset(instruction, error.missing, stage)
                raise DockerfileError(str(error)) from None
            if done.missing:
                self.observer.unset(instruction, done.missing, stage)
            return done.text

        return expand

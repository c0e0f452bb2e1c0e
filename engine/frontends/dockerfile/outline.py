"""What a target of a Dockerfile can be given: build arguments, secrets and agents, and where each is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.frontends.dockerfile.expand import Expander, Expansion, ExpansionError
from engine.frontends.dockerfile.instructions import Arg, From, Instruction, Run
from engine.frontends.dockerfile.lower.args import predefined
from engine.frontends.dockerfile.lower.convert import Job, build_platform, target_stage
from engine.frontends.dockerfile.lower.scope import Observer
from engine.frontends.dockerfile.lower.stage import Stage
from engine.frontends.dockerfile.mount import RunMount
from engine.llb.definition import Place
from engine.llb.ops import SourceInfo
from engine.llb.paths import base
from engine.llb.state import Env


@dataclass(frozen=True, slots=True)
class OutlineArg:
    """A build argument with the value it has now. `description` is the comment above that begins with its name."""

    name: str
    value: str
    description: str
    place: Place


@dataclass(frozen=True, slots=True)
class OutlineMount:
    """A secret or an agent."""

    name: str
    required: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Outline:
    """All that a target asks for, in the order of lines."""

    source: SourceInfo
    name: str
    description: str
    args: tuple[OutlineArg, ...]
    secrets: tuple[OutlineMount, ...]
    ssh: tuple[OutlineMount, ...]


@dataclass(slots=True)
class _Info:
    """An ARG that can be given. `needs`: the ARGs that its default uses."""

    name: str
    value: str
    description: str
    lines: tuple[int, int]
    needs: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Capture:
    """What one stage asks for by itself."""

    used: set[str] = field(default_factory=set)
    known: dict[str, _Info] = field(default_factory=dict)
    secrets: dict[str, tuple[bool, tuple[int, int]]] = field(default_factory=dict)
    ssh: dict[str, tuple[bool, tuple[int, int]]] = field(default_factory=dict)


class Outliner(Observer):
    """Watches a conversion and takes down what each stage asks for. `job` is the job with this watching it."""

    def __init__(self, job: Job) -> None:
        self.job = replace(job, observer=self)
        self._globals, self._values = _global_args(job)
        self._stages: dict[Stage, _Capture] = {}

    def _of(self, stage: Stage) -> _Capture:
        return self._stages.setdefault(stage, _Capture())

    def base_named(self, stage: Stage, start: From, found: Expansion, known: Env) -> None:
        """Notes the ARGs in a FROM."""
        self._of(stage).used |= found.found

    def platform_named(self, stage: Stage, start: From, found: Expansion, known: Env) -> None:
        """Notes the ARGs in a `--platform`."""
        self._of(stage).used |= found.found

    def lowered(self, instruction: Instruction, stage: Stage) -> None:
        """Notes the names of an ARG."""
        if not isinstance(instruction, Arg):
            return
        capture = self._of(stage)
        given = self.job.options.build_args
        values = {arg.key: arg.value or "" for arg in stage.args}
        for name in instruction.names:
            capture.used.add(name.key)
            inherited = name.value is None and name.key not in given and self._values.get(name.key) is not None
            if not inherited:
                lines = instruction.lines
                capture.known[name.key] = _Info(name.key, values.get(name.key, ""), name.description, lines)

    def mounted(self, instruction: Run, stage: Stage, mounts: Sequence[RunMount]) -> None:
        """Notes secrets and agents: of each the first mount."""
        capture = self._of(stage)
        for mount in mounts:
            if mount.type == "secret":
                id = mount.source or mount.id or base(mount.target)
                capture.secrets.setdefault(id, (mount.required, instruction.lines))
            elif mount.type == "ssh":
                capture.ssh.setdefault(mount.id or "default", (mount.required, instruction.lines))

    def outline(self, target: Stage) -> Outline:
        """All that a stage and those below it ask for."""
        stages = _needed(target)
        source = self.job.context.source
        args = self._args(stages)
        captures = [self._of(stage) for stage in stages]
        return Outline(
            source.info,
            target.start.name if target.start else "",
            target.start.description if target.start else "",
            tuple(
                OutlineArg(info.name, info.value, info.description, source.place(*info.lines))
                for info in sorted(args.values(), key=lambda info: info.lines[0])
            ),
            self._mounts([capture.secrets for capture in captures]),
            self._mounts([capture.ssh for capture in captures]),
        )

    def _args(self, stages: list[Stage]) -> dict[str, _Info]:
        found: dict[str, _Info] = {}
        for stage in stages:
            known, used = dict(self._globals), set()
            below: Stage | None = stage
            line = []
            while below is not None:
                line.append(self._of(below))
                below = below.base
            for capture in reversed(line[1:]):
                used |= capture.used & self._globals.keys()
            known |= line[0].known
            used |= line[0].used
            for name in _with_needs(used, known):
                if name in known:
                    found.setdefault(name, known[name])
        return found

    def _mounts(self, captured: list[dict[str, tuple[bool, tuple[int, int]]]]) -> tuple[OutlineMount, ...]:
        found: dict[str, tuple[bool, tuple[int, int]]] = {}
        for capture in captured:
            for name, what in capture.items():
                found.setdefault(name, what)
        place = self.job.context.source.place
        rows = sorted(found.items(), key=lambda item: item[1][1][0])
        return tuple(OutlineMount(name, required, place(*lines)) for name, (required, lines) in rows)


def _needed(target: Stage) -> list[Stage]:
    """A stage and all that it needs, in the peer's order: what it stands on first, then what it takes files from."""
    out: list[Stage] = []
    waiting = [target]
    while waiting:
        stage = waiting.pop()
        if stage in out:
            continue
        out.append(stage)
        waiting += [*reversed(stage.dependencies), *([stage.base] if stage.base else [])]
    return out


def _with_needs(names: set[str], known: dict[str, _Info]) -> list[str]:
    out: dict[str, None] = {}
    waiting = sorted(names, reverse=True)
    while waiting:
        name = waiting.pop()
        if name not in out:
            out[name] = None
            waiting += sorted(known[name].needs) if name in known else []
    return list(out)


def _global_args(job: Job) -> tuple[dict[str, _Info], Env]:
    """The ARGs before the first FROM with what their defaults use, and all values there."""
    expander = Expander(job.dockerfile.escape)
    build = build_platform(job)
    given = job.options.build_args
    values = predefined(build, build, given, target_stage(job))
    found: dict[str, _Info] = {}
    for arg in job.dockerfile.args:
        for name in arg.names:
            value, needs = given.get(name.key, name.value), frozenset[str]()
            if name.value is not None and name.key not in given:
                try:
                    done = expander.full(name.value, values)
                except ExpansionError:
                    return found, values  # the conversion says what is wrong
                value, needs = done.text, done.found
                if name.key in needs and name.key in found:
                    needs |= found[name.key].needs
                needs -= {name.key}
            if value is not None:
                values = values.set(name.key, value)
            found[name.key] = _Info(name.key, value or "", name.description, arg.lines, needs)
    return found, values

"""The graph of stages: what each stands on, which are needed, and what their images are."""

from __future__ import annotations

from dataclasses import field

from engine.concurrency import all_at_once
from engine.errors import EngineError, SourceError
from engine.frontends.contract import Bridge, FrontendRequest, ImageConfig, ResolvedImage
from engine.frontends.dockerfile.expand import NOTHING, ExpansionError
from engine.frontends.dockerfile.gotext import meant, quote
from engine.frontends.dockerfile.instructions import (
    Add,
    CopyFiles,
    Dockerfile,
    From,
    Instruction,
    Onbuild,
    Run,
    Workdir,
)
from engine.frontends.dockerfile.instructions import Stage as Written
from engine.frontends.dockerfile.lower import named, reference
from engine.frontends.dockerfile.lower import platform as spelling
from engine.frontends.dockerfile.lower.config import Image
from engine.frontends.dockerfile.lower.names import count, prefixed
from engine.frontends.dockerfile.lower.scope import Scope
from engine.frontends.dockerfile.lower.stage import SCRATCH, Command, Stage, Stages, cycle, reachable
from engine.frontends.dockerfile.parser import parse_trigger
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb import sources
from engine.llb.nodes import Label
from engine.llb.ops import Platform
from engine.llb.state import scratch
from engine.values import record

_STEPS = (Add, CopyFiles, Run, Workdir)
_COMMON_IMAGES = ("alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora")


@record
class Plan:
    """The stages of one conversion. `implicit`: nobody asked for a platform."""

    scope: Scope
    request: FrontendRequest
    bridge: Bridge
    stages: Stages
    build_platform: Platform
    implicit: bool
    loaded: dict[tuple[str, Platform | None], named.Loaded] = field(default_factory=dict)
    read_configs: dict[int, tuple[ImageConfig, Image]] = field(default_factory=dict)
    """By identity; each is held, so that no other can have its."""

    # ------------------------------------------------------------ what is written

    def read(self, dockerfile: Dockerfile) -> None:
        """Takes in the stages as written.

        Raises:
            DockerfileError: for a FROM that makes no sense.
        """
        for at, written in enumerate(dockerfile.stages):
            stage = self._stage(written)
            start = written.start
            context = self._context(start.name, stage.platform, stage) if start.name else None
            if context is not None:
                stage.named = context
                self.stages.add(stage)
                stage.base = None
                continue
            if not start.name:
                stage.title = f"stage-{at}"
            self.stages.add(stage)
            counted = sum(isinstance(instruction, _STEPS) for instruction in written.instructions)
            stage.steps = counted + (stage.base_name != SCRATCH and stage.base is None)
            stage.ignore_cache = self.scope.options.ignores_cache(start.name)

    def _stage(self, written: Written) -> Stage:
        start = written.start
        stage = Stage(start, "", start.lines, start.name, start.name, multi=self.scope.options.multi)
        stage.base_name = self._base_name(stage, start)
        stage.commands = [Command(instruction) for instruction in written.instructions]
        if start.platform:
            stage.platform = self._platform(stage, start)
        return stage

    def _base_name(self, stage: Stage, start: From) -> str:
        try:
            found = self.scope.expander.full(start.base, self.scope.global_args)
        except ExpansionError as error:
            raise DockerfileError(str(error), start.lines) from None
        self.scope.observer.base_named(stage, start, found, self.scope.global_args)
        if not found.text:
            raise DockerfileError(f"base name ({start.base}) should not be blank", start.lines)
        return found.text

    def _platform(self, stage: Stage, start: From) -> Platform:
        variables = self.scope.global_args
        try:
            found = self.scope.expander.full(start.platform, variables)
        except ExpansionError as error:
            message = f"failed to process arguments for platform : {error}"
            raise DockerfileError(message, start.lines) from None
        self.scope.observer.platform_named(stage, start, found, variables)

        def hinted(message: str) -> str:
            known = list(variables)
            return next(
                (said for name in sorted(found.missing) if (said := meant(message, name, known)) != message), message
            )

        if not found.text:
            raise DockerfileError(hinted(f"empty platform value from expression {start.platform}"), start.lines)
        try:
            return spelling.parse(found.text)
        except spelling.PlatformError as error:
            message = f"failed to parse platform {start.platform}: {hinted(str(error))}"
            raise DockerfileError(message, start.lines, start.lines) from None

    def _context(self, name: str, platform: Platform | None, stage: Stage) -> named.NamedContext | None:
        wanted = platform if platform is not None else None if self.implicit else self.scope.platform
        return named.find(self.request, self.bridge, name, wanted, self.scope.options.resolve_mode, lambda: stage.paths)

    def target(self) -> Stage:
        """The stage that is wanted.

        Raises:
            DockerfileError: if there is none of that name.
        """
        name = self.scope.options.target
        if not name:
            return self.stages.all[-1]
        found = self.stages.find(name)
        if found is None:
            message = f"target stage {quote(name)} could not be found"
            raise DockerfileError(meant(message, name, self.stages.titles()))
        return found

    # ------------------------------------------------------------ what depends on what

    def connect(self) -> None:
        """Finds the stages that instructions take files from.

        Raises:
            DockerfileError: for a source that cannot be, or a circle.
        """
        for stage in list(self.stages.all):
            for command in stage.commands:
                self._connect(stage, command)
        found = cycle(self.stages.all)
        if found is not None:
            stage, instructions = found
            lines = [instruction.lines for instruction in instructions]
            raise DockerfileError(f"circular dependency detected on stage: {stage.title}", *lines)
        if len(self.stages.all) == 1:
            self.stages.all[0].title = ""

    def _connect(self, stage: Stage, command: Command) -> None:
        instruction = command.instruction
        if isinstance(instruction, CopyFiles) and instruction.source:
            command.sources = [self._copy_source(instruction)]
        elif isinstance(instruction, Run):
            command.sources = [self._mount_source(name) for name in instruction.mount_sources]
        for source in command.sources:
            stage.dependencies[source] = instruction
            if source.unregistered and source not in self.stages.all:
                self.stages.add(source)

    def _copy_source(self, instruction: CopyFiles) -> Stage:
        name = instruction.source
        try:
            plain = self.scope.expander.text(name, NOTHING) == name
        except ExpansionError as error:
            raise DockerfileError(str(error)) from None
        if not plain:
            raise DockerfileError(
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global "
                "scope as a workaround"
            )
        index = _index(name)
        if index is None:
            return self.stages.find(name) or _unregistered(name, instruction.lines)
        if not 0 <= index < len(self.stages.all):
            raise DockerfileError(f"invalid stage index {index}")
        return self.stages.all[index]

    def _mount_source(self, name: str) -> Stage:
        return self.stages.find(name or SCRATCH) or _unregistered(name or SCRATCH, None)

    # ------------------------------------------------------------ what images are

    async def resolve(self, target: Stage, *, every: bool = False) -> dict[Stage, None]:
        """Asks for the images that are needed, until no ONBUILD trigger needs more. Gives the stages to be made.

        Raises:
            DockerfileError, EngineError: for an image that cannot be had, or a trigger that makes no sense.
        """
        while True:
            needed = reachable(target)
            await self._resolve_bases(needed, every)
            more = False
            for stage in [stage for stage in self.stages.all if stage in needed]:
                stage.inherit()
                more |= self._take_triggers(stage)
            if not more:
                return needed

    async def _resolve_bases(self, needed: dict[Stage, None], every: bool) -> None:
        waiting = [s for s in self.stages.all if s.base is None and not s.dispatched and not s.resolved]
        wanted: list[Stage] = []
        for stage in waiting:
            stage.resolved = every or stage in needed
            if stage.base_name == SCRATCH and stage.named is None:
                stage.state = scratch()
                stage.image = Image.empty(self.scope.platform)
                stage.platform = self.scope.platform
                stage.dispatched = stage.unregistered
            else:
                wanted.append(stage)
        names = {stage: self._name(stage) for stage in wanted}
        images = await self._images([stage for stage in wanted if stage.resolved], names)
        for stage in wanted:
            try:
                await self._set_base(stage, names[stage], images.get(stage))
            except EngineError as error:
                if stage.lines:
                    error.at((self.scope.source.place(*stage.lines),))
                raise
            except DockerfileError as error:
                raise (error.at(*stage.lines) if stage.lines else error) from None
            stage.dispatched |= stage.unregistered

    def _name(self, stage: Stage) -> reference.Reference:
        try:
            return reference.parse(stage.base_name)
        except reference.BadReference as error:
            message = f"failed to parse stage name {quote(stage.base_name)}: {error}"
            raise DockerfileError(message, *([stage.lines] if stage.lines else [])) from None

    async def _images(
        self, stages: list[Stage], names: dict[Stage, reference.Reference]
    ) -> dict[Stage, ResolvedImage | Exception]:
        """The images of stages, asked for at the same time, each name and platform once."""
        wanted: dict[tuple[str, Platform], list[Stage]] = {}
        for stage in stages:
            if stage.named is None and self._replacement(stage, names[stage]) is None:
                key = (str(names[stage].tagged()), stage.platform or self.scope.platform)
                wanted.setdefault(key, []).append(stage)
        found: dict[Stage, ResolvedImage | Exception] = {}

        async def ask(asked: tuple[str, Platform]) -> None:
            name, platform = asked
            try:
                answer: ResolvedImage | Exception = await self.bridge.resolve_image(
                    name, platform, self.scope.options.resolve_mode
                )
            except EngineError as error:
                answer = error
            for stage in wanted[asked]:
                found[stage] = answer

        await all_at_once(ask, wanted)
        return found

    def _replacement(self, stage: Stage, name: reference.Reference) -> named.NamedContext | None:
        return self._context(str(name.tagged()), stage.platform or self.scope.platform, stage)

    async def _set_base(self, stage: Stage, name: reference.Reference, found: ResolvedImage | Exception | None) -> None:
        written, stage.base_name = stage.base_name, str(name.tagged())
        platform = stage.platform or self.scope.platform
        if not stage.resolved:
            self._image_state(stage, platform)
        elif stage.named is not None:
            await self._set_context(stage, stage.named)
        elif (context := self._replacement(stage, name)) is not None:
            await self._set_replacement(stage, context, platform)
        elif isinstance(found, ResolvedImage):
            self._set_image(stage, name, found, platform, written)
        elif found is not None:
            raise self._unresolved(written, found)

    async def _set_context(self, stage: Stage, context: named.NamedContext) -> None:
        loaded = await self._load(context)
        stage.dispatched = True
        stage.state = loaded.state
        if loaded.config is not None:
            stage.image = self._image(loaded.config)
            if stage.image.platform.os and stage.image.platform.architecture:
                stage.platform = stage.image.platform

    async def _set_replacement(self, stage: Stage, context: named.NamedContext, platform: Platform) -> None:
        loaded = await self._load(context)
        stage.image = Image.empty(platform) if loaded.config is None else self._image(loaded.config)
        stage.base_config = stage.image.to_json() if loaded.config is None else loaded.config
        stage.state = loaded.state.on(platform)
        stage.platform = platform

    def _image(self, config: ImageConfig) -> Image:
        """An image's config for one stage. It is read once, however many stages begin with the image."""
        if id(config) not in self.read_configs:
            self.read_configs[id(config)] = config, Image.parse(config)
        return self.read_configs[id(config)][1].fork()

    async def _load(self, context: named.NamedContext) -> named.Loaded:
        """A context's files: but for a folder, of which each stage uses something else, the same for all stages."""
        if context.value.startswith("local:"):
            return await context.load()
        key = context.key, context.platform
        if key not in self.loaded:
            self.loaded[key] = await context.load()
        return self.loaded[key]

    def _set_image(
        self, stage: Stage, name: reference.Reference, found: ResolvedImage, platform: Platform, written: str
    ) -> None:
        stage.image = self._image(found.config)
        stage.base_config = found.config
        if stage.platform is None and self.implicit:
            platform = self._detected(stage.image.platform, platform)
        stage.base_name = str(name.tagged().pinned(found.digest))
        if stage.image.has_layers:
            self._image_state(stage, platform)
            self.scope.observer.based(stage, platform, written)
        else:
            stage.state = scratch()
            stage.platform = platform

    def _detected(self, image: Platform, wanted: Platform) -> Platform:
        """The platform of a base that is for another than the machine's own, if the machine can run it."""
        for known in (wanted, self.build_platform):
            if (known.os, known.architecture) == (image.os, image.architecture):
                return known
        return wanted

    def _image_state(self, stage: Stage, platform: Platform) -> None:
        scope = self.scope
        count(stage)
        label = Label(
            prefixed(stage, f"FROM {stage.base_name}", platform),
            stage.start.code if stage.start else "",
            (scope.source.place(*stage.lines),) if stage.lines else (),
        )
        stage.state = sources.image(stage.base_name, platform=platform, mode=scope.options.resolve_mode, label=label)
        stage.platform = platform

    def _unresolved(self, written: str, error: Exception) -> Exception:
        if not isinstance(error, SourceError):
            return error
        common = [form for name in _COMMON_IMAGES for form in (name, f"{name}:latest")]
        message = meant(f"{written}: {error.message}", written, [*self.stages.titles(), *common])
        return SourceError(message, places=error.places, hint=error.hint)

    # ------------------------------------------------------------ ONBUILD

    def _take_triggers(self, stage: Stage) -> bool:
        """Puts the triggers of a stage's base before its own instructions; whether they need further stages."""
        texts = stage.image.words("OnBuild")
        if stage.base is not None and not stage.triggers_taken:
            stage.triggers_taken = True
            texts += [c.instruction.trigger for c in stage.base.commands if isinstance(c.instruction, Onbuild)]
        if not texts:
            return False
        stage.image.put("OnBuild", None)
        lines = stage.lines or (0, 0)
        commands = []
        try:
            for text in texts:
                command = Command(self._trigger(text, lines), on_build=True)
                self._connect(stage, command)
                commands.append(command)
        except DockerfileError as error:
            raise DockerfileError(error.message, lines) from None
        stage.commands = commands + stage.commands
        stage.steps += len(commands)
        return any(command.sources for command in commands)

    def _trigger(self, text: str, lines: tuple[int, int]) -> Instruction:
        return parse_trigger(text, *lines)


def _unregistered(name: str, lines: tuple[int, int] | None) -> Stage:
    return Stage(None, name, lines, unregistered=True)


def _index(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None

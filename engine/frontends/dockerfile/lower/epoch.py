"""SOURCE_DATE_EPOCH: the time that an image claims to be from; a number, or a source whose time is taken over.

A source is the main context (`context`), a named context, or a stage `FROM scratch` with nothing but one remote ADD.
The time of a repository is that of its commit; of a download its Last-Modified, else the newest file in the archive.
Folders and images have none.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

from engine import platforms
from engine.errors import DefinitionError
from engine.frontends.contract import Bridge, FrontendRequest
from engine.frontends.dockerfile.expand import Expander, ExpansionError
from engine.frontends.dockerfile.gotext import parse_int
from engine.frontends.dockerfile.instructions import Add, Arg, Dockerfile, Instruction, Stage
from engine.frontends.dockerfile.lower import gitref, named, reference
from engine.frontends.dockerfile.lower.contexts import Context
from engine.frontends.dockerfile.lower.stage import SCRATCH
from engine.frontends.dockerfile.lower.transfer import http_filename
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb import sources
from engine.llb.definition import Definition, Edge, Vertex
from engine.llb.state import Env, State
from engine.values import record

KEY = "SOURCE_DATE_EPOCH"
_WEB = ("http://", "https://")
_MAX_ARCHIVE = 1 << 30
_NO_FILES = (b"2", b"3", b"4", b"5", b"6")  # links by name, devices, folders, pipes
_ONE_ADD = f"{KEY} stage must contain exactly one remote ADD"


@record
class Epochs:
    """Finds the times of one target. `given` are its build arguments, `known` the values before the first FROM."""

    request: FrontendRequest
    bridge: Bridge
    context: Context
    dockerfile: Dockerfile
    given: Mapping[str, str]
    known: Env
    expander: Expander
    mode: str = ""

    async def resolve(self, value: str) -> int | None:
        """Seconds since 1970, or None for no fixed time.

        Raises:
            DefinitionError: if the value means nothing.
            DockerfileError: if it means a stage that is more than a source.
            EngineError: if a source cannot be had.
        """
        if not value:
            return None
        try:
            return parse_int(value)
        except ValueError:
            pass
        state = await self._state(value)
        source = None if state is None else _only_source(state)
        if source is None:
            return None
        time = await self.bridge.source_time(source)
        return await self._newest_file(source) if time is None else time

    async def _state(self, value: str) -> State | None:
        if value == "context":
            return self.context.remote
        context = named.find(self.request, self.bridge, value, None, self.mode, set)
        if context is not None:
            return None if context.value.startswith("local:") else (await context.load()).state
        for stage in self.dockerfile.stages:
            if stage.start.name == value.lower():
                try:
                    return self._stage(stage)
                except (DockerfileError, ExpansionError) as error:
                    raise DockerfileError(str(error), stage.start.lines) from None
        raise DefinitionError(f"invalid {KEY}: {value}")

    def _stage(self, stage: Stage) -> State:
        env = self.known.without(KEY)
        if self.expander.text(stage.start.base, env) != SCRATCH:
            raise DockerfileError(f"{KEY} stage must use FROM scratch")
        found: State | None = None
        for instruction in stage.instructions:
            if isinstance(instruction, Arg):
                env = self._declare(instruction, env)
            elif not isinstance(instruction, Add):
                raise DockerfileError(_unsupported(instruction))
            elif found is not None:
                raise DockerfileError(_ONE_ADD)
            else:
                found = self._added(instruction, env)
        if found is None:
            raise DockerfileError(_ONE_ADD)
        return found

    def _declare(self, arg: Arg, env: Env) -> Env:
        for name in arg.names:
            if name.key in self.given:
                env = env.set(name.key, self.given[name.key])
            elif name.value is not None:
                env = env.set(name.key, self.expander.text(name.value, env))
        return env

    def _added(self, add: Add, env: Env) -> State:
        if add.transfer.documents or len(add.transfer.sources) != 1:
            raise DockerfileError(f"{_ONE_ADD} source")
        address = self.expander.text(add.transfer.sources[0], env)
        checksum = self.expander.text(add.checksum, env)
        if address.startswith(_WEB) and not gitref.is_git(address):
            _check(checksum)
            return sources.http(address, filename=http_filename(address), checksum=checksum)
        try:
            repository = gitref.parse(address)
        except gitref.BadGitRef as error:
            raise DockerfileError(str(error)) from None
        except gitref.NotGit:
            repository = None
        if repository is None or repository.like_path:
            raise DockerfileError(f"{KEY} stage source must be a single HTTP(S) or Git ADD")
        return sources.git(repository.remote, repository.options(checksum=checksum))

    async def _newest_file(self, vertex: Vertex) -> int | None:
        """The time of the newest file of a downloaded archive; None for any other file."""
        source = vertex.op.source
        filename = source.attrs.get("http.filename", "") if source and source.identifier.startswith(_WEB) else ""
        if not filename:
            return None
        files = await self.bridge.files(Definition({vertex.digest: vertex}, Edge(vertex.digest)))
        try:
            archive = await files.read("/" + filename, _MAX_ARCHIVE)
        except OSError as error:
            raise DefinitionError(f"cannot look for the newest file of {filename}: {error.strerror}") from None
        return newest_file(archive)


def newest_file(archive: bytes) -> int | None:
    """The time of the newest regular file of an archive, in seconds since 1970; None for what is no archive."""
    from engine.archive.compression import decompressor
    from engine.archive.errors import ArchiveError
    from engine.archive.tar_reader import TarReader

    newest: int | None = None
    try:
        for member in TarReader(decompressor(io.BytesIO(archive))):
            if member.kind not in _NO_FILES:
                newest = max(member.mtime_ns, member.mtime_ns if newest is None else newest)
    except ArchiveError:
        return None
    return None if newest is None else newest // 1_000_000_000


def _only_source(state: State) -> Vertex | None:
    """The source that a state is made of; None if there are several, which have no time in common."""
    found = [vertex for vertex in state.define(platforms.host()).vertices.values() if vertex.op.source is not None]
    return found[0] if len(found) == 1 else None


def _check(checksum: str) -> None:
    try:
        if checksum:
            reference.check_digest(checksum)
    except reference.BadReference as error:
        raise DockerfileError(str(error)) from None


def _unsupported(instruction: Instruction) -> str:
    keyword = instruction.keyword.upper()
    return f"{KEY} stage does not meet source-only requirements: unsupported {keyword} instruction"

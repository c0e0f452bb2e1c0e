"""Named contexts: `context:NAME` puts something else in the place of an image, a stage or the source of a COPY."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from engine import platforms
from engine.errors import DefinitionError
from engine.frontends.contract import Bridge, FrontendRequest, ImageConfig, LocalFolder
from engine.frontends.dockerfile.gotext import quote
from engine.frontends.dockerfile.lower import platform as spelling
from engine.frontends.dockerfile.lower import reference
from engine.frontends.dockerfile.lower.config import Image
from engine.frontends.dockerfile.lower.contexts import git_state, ignored_in
from engine.frontends.dockerfile.lower.stage import SCRATCH, follow_paths
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb import sources
from engine.llb.nodes import Deferred, Label, Output
from engine.llb.ops import Platform
from engine.llb.state import State, made, scratch
from engine.values import frozen

_NO_CONTEXT = (SCRATCH, "context")


@frozen
class Loaded:
    """A context's files, and its image config if it is an image."""

    state: State
    config: ImageConfig | None = None


@frozen
class NamedContext:
    """A context that is not loaded yet. `key` is the name as the option has it, perhaps with a platform."""

    value: str
    name: str
    key: str
    platform: Platform | None
    mode: str
    paths: Callable[[], set[str]]
    request: FrontendRequest
    bridge: Bridge

    async def load(self) -> Loaded:
        """What stands in the place of the name.

        Raises:
            DockerfileError: for a value that makes no sense.
            EngineError: from the bridge.
        """
        scheme, colon, rest = self.value.partition(":")
        if not colon:
            raise DockerfileError(f"invalid context specifier {self.value} for {self.key}")
        if scheme == "docker-image":
            return await self._image(rest.removeprefix("//"))
        if scheme == "git" or scheme.startswith("git@"):
            return Loaded(self._git())
        if scheme in ("http", "https"):
            return Loaded(git_state(self.value) or self._download())
        if scheme == "oci-layout":
            return await self._layout(rest.removeprefix("//"))
        if scheme == "local":
            return Loaded(self._local(rest))
        if scheme == "input":
            return self._input(rest)
        raise DockerfileError(f"unsupported context source {scheme} for {self.key}")

    def _label(self, text: str) -> Label:
        return Label(f"[context {self.key}] {text}")

    async def _image(self, text: str) -> Loaded:
        if text == SCRATCH:
            return Loaded(scratch())
        try:
            name = str(reference.parse(text).tagged())
        except reference.BadReference as error:
            raise DockerfileError(str(error)) from None
        wanted = self.platform or self.bridge.worker_platforms()[0]
        found = await self.bridge.resolve_image(name, wanted, self.mode)
        state = sources.image(name, platform=self.platform, label=self._label(text))
        return Loaded(with_config(state, found.config), found.config)

    def _git(self) -> State:
        state = git_state(self.value)
        if state is None:
            raise DockerfileError(f"invalid git context {self.value}")
        return state

    def _download(self) -> State:
        return sources.http(self.value, filename="context", label=self._label(self.value))

    async def _layout(self, text: str) -> Loaded:
        store, mark, version = _split_layout(text)
        folder = self.request.locals.get(store) or LocalFolder(store, Path(store))
        wanted = self.platform or self.bridge.worker_platforms()[0]
        found = await self.bridge.resolve_layout(folder.path, self.name + mark + version, wanted)
        try:
            name = str(reference.parse(self.name).pinned(found.digest))
        except reference.BadReference as error:
            raise DockerfileError(f"could not parse oci-layout reference {quote(self.name)}: {error}") from None
        label = self._label("OCI load from client")
        state = sources.oci_layout(name, store=store, session=folder.session, platform=self.platform, label=label)
        return Loaded(with_config(state, found.config), found.config)

    def _local(self, name: str) -> State:
        folder = self.request.locals.get(name)
        if folder is None:
            raise DefinitionError(f"the context {self.key} is the folder {name}, which was not given")
        ignored = ignored_in(folder)

        def find() -> Output | None:
            state = sources.local(
                name,
                session=folder.session,
                follow=follow_paths(self.paths()),
                exclude=ignored,
                hint=f"context:{self.key}-",
                label=self._label("load from client"),
            )
            return state.output

        return State(Output(Deferred(find)))

    def _input(self, name: str) -> Loaded:
        wanted = platforms.format(platforms.normalize(self.platform or platforms.host()))
        linked = self.request.inputs.get(f"{name}::{wanted}") or self.request.inputs.get(name)
        if linked is None:
            raise DockerfileError(f"invalid input {name} for {self.key}")
        state = made(linked.definition)
        if linked.config is None:
            return Loaded(state)
        return Loaded(with_config(state, linked.config), linked.config)


def _split_layout(text: str) -> tuple[str, str, str]:
    """The folder, `@` or `:`, and the digest or tag of `STORE[@DIGEST|:TAG]`."""
    store, mark, version = text.rpartition("@")
    if not mark:
        store, mark, version = text.rpartition(":")
    return (store, mark, version) if mark and "/" not in version else (text, "", "")


def find(
    request: FrontendRequest,
    bridge: Bridge,
    name: str,
    platform: Platform | None,
    mode: str,
    paths: Callable[[], set[str]],
) -> NamedContext | None:
    """The context for a name: first the one for the platform.

    Args:
        request: the options with the contexts.
        bridge: what loads them.
        name: of a stage or image.
        platform: that is wanted; None: whatever the machine is.
        mode: how images are resolved.
        paths: gives the paths that are used of it, once all are known.

    Raises:
        DockerfileError: if the name cannot be one of an image.
    """
    if name.lower() in _NO_CONTEXT or not any(key.startswith("context:") for key in request.options):
        return None
    try:
        keys = _keys(name, platform or platforms.host())
    except reference.BadReference as error:
        raise DockerfileError(f"invalid context name {name}: {error}") from None
    for key in keys:
        value = request.options.get("context:" + key)
        if value is not None:
            return NamedContext(value, keys[-1], key, platform, mode, paths, request, bridge)
    return None


@lru_cache(maxsize=256)
def _keys(name: str, platform: Platform) -> tuple[str, str]:
    """What a context of this name is called, for the platform and for any. Raises BadReference."""
    short = reference.parse(name).familiar.removesuffix(":latest")
    return f"{short}::{spelling.format_all(platforms.normalize(platform))}", short


def with_config(state: State, config: ImageConfig) -> State:
    """With the environment, working directory and platform of an image."""
    image = Image.parse(config)
    for item in image.env:
        key, _, value = item.partition("=")
        if key:
            state = state.set_env(key, value)
    state = state.dir(image.text("WorkingDir"))
    if image.platform.os and image.platform.architecture:
        state = state.on(image.platform)
    return state

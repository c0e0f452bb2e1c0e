"""RUN --mount."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from engine.frontends.dockerfile.gotext import quote
from engine.frontends.dockerfile.instructions import Run
from engine.frontends.dockerfile.lower.scope import Scope
from engine.frontends.dockerfile.lower.stage import SCRATCH, Stage, used_path
from engine.frontends.dockerfile.mount import RunMount, parse
from engine.frontends.dockerfile.source import DockerfileError
from engine.llb.actions import mkdir
from engine.llb.execution import MountSpec, SecretSpec, SSHSpec, cache_opt
from engine.llb.nodes import Label
from engine.llb.ops import TmpfsOpt
from engine.llb.paths import base, clean, join
from engine.llb.state import State, scratch
from engine.values import record

_CACHE = "/cache"
_SECRET_MODE, _SSH_MODE = 0o400, 0o600


@record
class Found:
    """The mounts of a step by what becomes of them."""

    mounts: list[MountSpec] = field(default_factory=list)
    secrets: list[SecretSpec] = field(default_factory=list)
    ssh: list[SSHSpec] = field(default_factory=list)


def expanded(run: Run, expand: Callable[[str], str]) -> list[RunMount]:
    """The mounts with variables replaced. Raises DockerfileError."""
    return [parse(text, expand) for text in run.mounts]


def lower(scope: Scope, stage: Stage, parsed: list[RunMount], sources: list[Stage]) -> Found:
    """The mounts of a step; notes which paths they use.

    Raises:
        DockerfileError: for a mount at `/`, or one from a stage further down.
    """
    found = Found()
    for mount, source in zip(parsed, sources, strict=True):
        origin = mount.source_stage or (SCRATCH if mount.type == "cache" else "")
        if origin and not source.dispatched:
            raise DockerfileError(
                f"cannot mount from stage {quote(origin)} to {quote(mount.target)}, "
                "stage needs to be defined before current command"
            )
        if mount.type == "secret":
            found.secrets.append(_secret(mount))
        elif mount.type == "ssh":
            found.ssh.append(_ssh(mount))
        else:
            found.mounts.append(_files(scope, stage, mount, source.state if origin else scope.build_context))
            # A tmpfs mount takes nothing, and still counts as use of the whole context.
            (source.paths if origin else stage.context_paths).add(used_path(mount.source))
    return found


def _files(scope: Scope, stage: Stage, mount: RunMount, state: State) -> MountSpec:
    if mount.type == "tmpfs":
        state = scratch()
    cache = None
    if mount.type == "cache":
        cache = cache_opt(
            f"{scope.options.cache_namespace}/{mount.id or clean(mount.target)}", mount.sharing or "shared"
        )
    target = mount.target
    if not target.startswith("/"):
        target = join("/", stage.state.cwd, target)
    if target == "/":
        raise DockerfileError(f"invalid mount target {quote(target)}")
    selector = used_path(mount.source)
    if selector == "/":
        selector = ""
        if (mount.uid, mount.gid, mount.mode) != (None, None, None):
            state, selector = _owned(mount, state), _CACHE
    return MountSpec(
        target,
        state.output,
        selector=selector,
        readonly=mount.readonly,
        no_output=mount.type == "bind" and not mount.readonly,
        cache=cache,
        tmpfs=TmpfsOpt(mount.size) if mount.type == "tmpfs" else None,
    )


def _owned(mount: RunMount, state: State) -> State:
    """A first content of a cache: a folder with the owner and mode that were asked for."""
    mode = 0o755 if mount.mode is None else mount.mode
    label = Label("[internal] setting cache mount permissions")
    return state.file(mkdir(_CACHE, mode, owner=(mount.uid or 0, mount.gid or 0)), label)


def _secret(mount: RunMount) -> SecretSpec:
    id = mount.source or mount.id or base(mount.target)
    dest = mount.target or None
    if mount.env is None:
        dest = mount.target or "/run/secrets/" + base(id)
    return SecretSpec(
        id,
        dest,
        mount.env,
        mount.uid or 0,
        mount.gid or 0,
        _SECRET_MODE if mount.mode is None else mount.mode,
        optional=not mount.required,
    )


def _ssh(mount: RunMount) -> SSHSpec:
    if mount.source:
        raise DockerfileError("ssh does not support source")
    return SSHSpec(
        mount.id,
        mount.target,
        mount.uid or 0,
        mount.gid or 0,
        _SSH_MODE if mount.mode is None else mount.mode,
        optional=not mount.required,
    )

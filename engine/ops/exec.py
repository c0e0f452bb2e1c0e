"""The exec op: runs a command in a sandbox on a snapshot; what it changes is the result."""

from __future__ import annotations

import json
import math
import os
import posixpath
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from engine import platforms
from engine.digests import Digest, sha256
from engine.errors import EntitlementError, ExitError, StateError, StepError, disk_hint
from engine.events import Stream
from engine.llb.definition import Vertex
from engine.llb.go_json import tagged_digest
from engine.llb.ops import (
    NO_OUTPUT,
    SCRATCH,
    CacheOpt,
    CacheSharing,
    ContentCache,
    ExecOp,
    Meta,
    Mount,
    MountType,
    NetMode,
    ProxyEnv,
    SecurityMode,
)
from engine.ops.contract import CacheMap, Dependency, Selection
from engine.request import StepNetwork

if TYPE_CHECKING:
    from pathlib import Path

    from engine.ops.context import StepContext
    from engine.ops.exec_mounts import ExecMounts
    from engine.ops.step_log import StepLog
    from engine.results import Result
    from engine.sandbox.contract import Exit, Step
    from engine.sandbox.devices import Edits
    from engine.sandbox.user import User

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOSTNAME = "buildkitsandbox"
_REFUSED_PORT = re.compile(rb"bind.*permission denied", re.IGNORECASE)


class ExecOperation:
    """One exec vertex."""

    def __init__(self, vertex: Vertex) -> None:
        """Raises StepError for a vertex that is no complete exec op."""
        if vertex.op.exec is None or vertex.op.exec.meta is None or not vertex.op.exec.meta.args:
            raise StepError("a step without a command", places=vertex.note.places, vertex=vertex.name)
        self._vertex = vertex
        self._op: ExecOp = vertex.op.exec
        self._meta: Meta = vertex.op.exec.meta

    def cache_map(self) -> CacheMap:
        """BuildKit's identity of the op, and what counts of each input."""
        platform = self._vertex.op.platform or platforms.host()
        members: dict[str, object] = {"Exec": _normalised(self._op), "OS": platform.os, "Arch": platform.architecture}
        optional = {"Variant": platform.variant, "OSVersion": platform.os_version, "OSFeatures": platform.os_features}
        members |= {name: value for name, value in optional.items() if value}
        digest = tagged_digest("buildkit.exec.v0", **members)
        inputs = range(len(self._vertex.op.inputs))
        return CacheMap(digest, tuple(_dependency(self._op.mounts, number) for number in inputs))

    async def run(self, inputs: Sequence[Result], context: StepContext) -> Sequence[Result | None]:
        """Runs the command.

        Raises:
            ExitError: if it ends with an exit code that it may not end with.
            StepError: if it cannot be started.
            EntitlementError: if it needs more than it is allowed.
            UnsupportedError, StateError: where this machine cannot do it.
        """
        import trio

        from engine.ops.exec_mounts import ExecMounts
        from engine.snapshots import user_namespace

        self._check_entitlements(context.allowed)
        async with _closed_in_thread() as layers:
            try:
                async with _closed_in_thread() as files:
                    mounts = ExecMounts(self._op.mounts, inputs, context, layers, files)
                    await self._run_on(mounts, context)
            except OSError as error:
                hint = disk_hint(error, user_namespace.hint())
                raise StateError(f"cannot prepare the step: {error.strerror or error}", hint=hint) from error
            return await trio.to_thread.run_sync(mounts.commit, self._vertex.name)

    async def _run_on(self, mounts: ExecMounts, context: StepContext) -> None:
        import trio

        from engine.ops.exec_mounts import Place, check_nested, nested, real_places, to_step_mount
        from engine.ops.looking_around import look_around
        from engine.ops.step_log import StepLog
        from engine.sandbox.private_network import private_network
        from engine.sandbox.resolver import HOSTS, RESOLV_CONF, StepFiles, has_local_names
        from engine.sandbox.user import UserNotFoundError, find_user
        from engine.snapshots import namespace

        namespace.enter()  # this thread, too, looks at what the others mount
        root_mount = mounts.root()
        base = await trio.to_thread.run_sync(mounts.base, root_mount)
        try:
            user = find_user(context.snapshots.tree(base), self._meta.user)
        except UserNotFoundError as error:
            raise StepError(f'process "{self._command}" did not complete successfully: {error}') from error
        devices = self._devices(context)
        env = await self._environment(user.home, context, mounts.secrets, devices.env)
        async with AsyncExitStack() as opened:
            shown = await mounts.others(opened, devices.mounts)
            check_nested(shown)
            inside = nested(shown)
            places = [item.place for item, within in zip(shown, inside, strict=True) if not within]
            places += [Place(path) for path in (HOSTS, RESOLV_CONF)]
            root, real = await trio.to_thread.run_sync(mounts.mount_root, root_mount, base, places)
            found = iter(real)
            dests = real_places(shown, [None if within else next(found) for within in inside])
            others = [to_step_mount(item, dest) for item, dest in zip(shown, dests, strict=True)]
            cwd = mounts.working_folder(root, base, self._meta.cwd or "/", shown, user)
            user = replace(user, groups=(*user.groups, *devices.groups))
            step = replace(self._as_step(env, cwd, user, root_mount), hooks=devices.hooks)
            if context.network is StepNetwork.PRIVATE and step.network is NetMode.UNSET:
                network = await opened.enter_async_context(private_network(mounts.folder, has_local_names()))
                step = replace(step, private_network=network)
            resolver = [replace(file, dest=next(found).path) for file in StepFiles(mounts.folder).files(step)]
            step = replace(step, mounts=(*resolver, *others))
            if context.shell and context.shell.instead_of == self._vertex.digest:
                await look_around(context, step, root)
                raise StepError("the step was looked into, and not run")
            try:
                with StepLog(context, mounts.secrets) as log:
                    await self._run_step(step, root, log, context)
            except StepError:
                if context.shell and not context.shell.instead_of:
                    await look_around(context, step, root)
                raise

    async def _run_step(self, step: Step, root: Path, log: StepLog, context: StepContext) -> None:
        import trio

        ended = None
        with trio.move_on_after(math.inf if context.timeout is None else context.timeout):
            ended = await context.runtime().run(step, root, log.write)
            if ended.memory_limit:
                log.write(Stream.STDERR, f"bakery: {_memory_hint(ended)}\n".encode())
        log.finish()
        if ended is None:
            raise StepError(
                f'process "{self._command}" was ended: it ran for longer than {context.timeout:g} s',
                hint="give it more time with --step-timeout",
                log=log.tail,
                log_path=log.path,
            )
        if ended.code not in (self._meta.valid_exit_codes or (0,)):
            failure = ExitError(self._command, ended.code, log=log.tail, log_path=log.path)
            failure.hint = _memory_hint(ended) or _port_hint(step, log.tail) or hint_for(ended.code)
            raise failure

    def _as_step(self, env: tuple[str, ...], cwd: str, user: User, root: Mount) -> Step:
        from engine.sandbox.contract import Step

        meta = self._meta
        return Step(
            args=meta.args,
            env=env,
            cwd=cwd,
            uid=user.uid,
            gid=user.gid,
            groups=user.groups,
            hostname=meta.hostname or _HOSTNAME,
            network=self._op.network,
            security=self._op.security,
            ulimits=meta.ulimit,
            extra_hosts=tuple((item.host, item.ip) for item in meta.extra_hosts),
            resources=self._vertex.note.resources,
            cgroup_parent=meta.cgroup_parent,
            readonly_root=root.readonly,
            architecture=self._vertex.op.platform.architecture if self._vertex.op.platform else "",
        )

    async def _environment(
        self, home: str, context: StepContext, secrets: list[bytes], given: Mapping[str, str]
    ) -> tuple[str, ...]:
        """As BuildKit gives it, with what comes with devices (`given`). Values of secrets go into `secrets`, too."""
        from engine.ops.step_secrets import secret_value

        env = dict(item.partition("=")[::2] for item in self._meta.env)
        env.setdefault("PATH", DEFAULT_PATH)
        env |= {**_proxies(self._meta.proxy_env or ProxyEnv()), **given}
        for item in self._op.secretenv:
            value = await secret_value(context, item.id, item.optional)
            if value is not None and b"\0" in value:
                raise StepError(f"secret {item.id} holds a zero byte, and no environment variable can")
            secrets += [value] if value is not None else []
            env[item.name] = os.fsdecode(value or b"")
        env.setdefault("HOME", home)
        return tuple(f"{name}={value}" for name, value in env.items())

    def _check_entitlements(self, allowed: frozenset[str]) -> None:
        needed = {"network.host": self._op.network is NetMode.HOST}
        needed["security.insecure"] = self._op.security is SecurityMode.INSECURE
        for name, is_needed in needed.items():
            if is_needed and name not in allowed:
                raise EntitlementError(f"{name} is not allowed", hint=f"allow it with --allow {name}")

    def _devices(self, context: StepContext) -> Edits:
        """What the step gets with its devices. Raises EntitlementError, StepError."""
        from engine.sandbox.devices import Edits, find_devices, is_described

        if not self._op.cdi_devices:
            return Edits()
        there = [device for device in self._op.cdi_devices if not device.optional or is_described(device)]
        for device in there:
            if not context.allowed & {"device", f"device={device.name}"}:
                name = f"device={device.name}"
                raise EntitlementError(f"{name} is not allowed", hint=f"allow it with --allow {name}")
        return find_devices(there)

    @property
    def _command(self) -> str:
        """The command as an error names it: BuildKit's, which is quoted as Go does."""
        return json.dumps(" ".join(self._meta.args), ensure_ascii=False)[1:-1]


@asynccontextmanager
async def _closed_in_thread() -> AsyncIterator[ExitStack]:
    """A stack that is closed in a thread whatever happens: to unmount and remove may take a while."""
    import trio

    stack = ExitStack()
    try:
        yield stack
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(stack.close)


def _port_hint(step: Step, said: bytes) -> str:
    """What to do where an ordinary user's step may not listen on a port; empty if that is not what failed."""
    from engine.snapshots import user_namespace
    from engine.snapshots.user_namespace import Ids

    on_machine = step.network is not NetMode.NONE and step.private_network is None
    if user_namespace.ids() is Ids.ALL or not on_machine or not _REFUSED_PORT.search(said):
        return ""
    return "ports below 1024 of this machine are root's; with --step-network=private each step has ports of its own"


def _memory_hint(ended: Exit) -> str:
    """What to do where the kernel has ended a process of the step for its memory; empty if it has not."""
    if not ended.memory_limit:
        return ""
    may = f"the {ended.memory_limit:,} bytes" if ended.memory_limit > 0 else "what"
    return f"out of memory: it needed more than {may} that it may have by `memory` in the target's `resources`"


def hint_for(exit_code: int) -> str:
    """What an exit code tells besides its number."""
    from engine.snapshots import user_namespace

    if exit_code <= 128 or exit_code - 128 not in set(signal.Signals):
        return user_namespace.hint()
    name = signal.Signals(exit_code - 128).name
    memory = ", as the kernel does when memory is short" if name == "SIGKILL" else ""
    return f"{exit_code} is 128 + {exit_code - 128}: something ended it with {name}{memory}"


def _proxies(proxy: ProxyEnv) -> dict[str, str]:
    values = {
        "http_proxy": proxy.http_proxy,
        "https_proxy": proxy.https_proxy,
        "ftp_proxy": proxy.ftp_proxy,
        "no_proxy": proxy.no_proxy,
        "all_proxy": proxy.all_proxy,
    }
    return {form: value for name, value in values.items() if value for form in (name.upper(), name)}


def _normalised(op: ExecOp) -> ExecOp:
    """What of an exec op makes its cache digest: not where caches are kept, proxies, addresses, parts of inputs."""
    assert op.meta is not None
    meta = replace(op.meta, proxy_env=None, extra_hosts=tuple(replace(host, ip="") for host in op.meta.extra_hosts))
    mounts = tuple(replace(item, selector="", cache_opt=_cache_identity(item)) for item in op.mounts)
    if mounts == (Mount(dest="/"),) or mounts == (Mount(dest="/", input=SCRATCH),):
        mounts = ()  # older BuildKits left mounts out of the digest; for the plain step that is kept
    return replace(op, meta=meta, mounts=mounts)


def _cache_identity(item: Mount) -> CacheOpt | None:
    option = item.cache_opt
    if option is None:
        return None
    # The name that a Dockerfile gives by default, `NAMESPACE/DEST`, always counted; names that a user gives do not.
    by_default = item.dest in (option.id, option.id.partition("/")[2])
    return option if by_default and option.sharing is CacheSharing.SHARED else CacheOpt()


def _dependency(mounts: Sequence[Mount], number: int) -> Dependency:
    """How an input counts: which parts of it are seen, and whether their content may stand for it."""
    uses = [item for item in mounts if item.input == number]
    paths = [posixpath.normpath("/" + item.selector.lstrip("/")) for item in uses]
    selector: Digest | None = sha256("\0".join(paths).encode()) if paths else None
    if not uses or not all(_counts_by_content(item) for item in uses):
        return Dependency(selector)
    return Dependency(selector, tuple(Selection(path, follow_links=True) for path in _topmost(paths)))


def _counts_by_content(item: Mount) -> bool:
    if item.mount_type is not MountType.BIND and item.mount_type is not MountType.CACHE:
        return False
    if item.dest == "/":
        return False
    if item.content_cache is not ContentCache.DEFAULT:
        return item.content_cache is ContentCache.ON
    return item.readonly or item.output == NO_OUTPUT or posixpath.normpath("/" + item.selector) not in ("/", "//")


def _topmost(paths: Sequence[str]) -> list[str]:
    """The paths without those that lie in another one, sorted."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(parent.rstrip("/") + "/") for parent in kept):
            kept.append(path)
    return kept

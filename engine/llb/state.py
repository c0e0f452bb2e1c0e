"""Drawing graphs in Python: states, the same idea as BuildKit's Go client.

    from engine import llb

    base = llb.image("docker.io/library/alpine:3.20")
    code = llb.local("context", session=folder.session)
    built = base.dir("/src").run("make", mounts=[llb.bind("/src", code)]).root()
    result = llb.scratch().file(llb.copy(built, "/src/app", "/app").mkdir("/data"))
    definition = result.define()

A `State` is a file system to be and the surroundings of the commands run in it (environment, working directory, user).
States are immutable: every method gives a new one. Nothing is run or marshalled before `define`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine import platforms
from engine.llb.actions import Actions, FileNode
from engine.llb.definition import Definition
from engine.llb.execution import ROOT, ExecNode, ExecSpec, MountSpec, SecretSpec, SSHSpec, cache_opt
from engine.llb.nodes import NO_LABEL, DiffNode, Label, MadeNode, MergeNode, Output, define
from engine.llb.ops import CDIDevice, HostIP, NetMode, Platform, ProxyEnv, SecurityMode, TmpfsOpt, Ulimit
from engine.llb.paths import join
from engine.values import frozen, replace


class Env:
    """An ordered environment. Setting a variable again moves it to the end, which is part of a step's identity."""

    __slots__ = ("_items", "_values")

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self._items: tuple[str, ...] | None = None

    def set(self, key: str, value: str) -> Env:
        """The environment with a variable."""
        changed = Env(self._values)
        changed._values.pop(key, None)
        changed._values[key] = value
        return changed

    def without(self, key: str) -> Env:
        """The environment without a variable."""
        changed = Env(self._values)
        changed._values.pop(key, None)
        return changed

    def get(self, key: str) -> str | None:
        """The value, or None."""
        return self._values.get(key)

    def __iter__(self) -> Iterator[str]:
        """The names in order."""
        return iter(self._values)

    def items(self) -> tuple[str, ...]:
        """`KEY=VALUE` in order."""
        if self._items is None:
            self._items = tuple(f"{k}={v}" for k, v in self._values.items())
        return self._items


EMPTY_ENV = Env()


@frozen
class State:
    """A file system to be (`output`; None: empty) and what commands in it are surrounded by."""

    output: Output | None = None
    env: Env = EMPTY_ENV
    cwd: str = ROOT
    user_name: str = ""
    host_name: str = ""
    platform: Platform | None = None
    network: NetMode = NetMode.UNSET

    def set_env(self, key: str, value: str) -> State:
        """With a variable in the environment of later commands."""
        return replace(self, env=self.env.set(key, value))

    def dir(self, path: str) -> State:
        """With a working directory, relative to the one before."""
        return replace(self, cwd=path if path.startswith("/") else join(self.cwd or ROOT, path))

    def user(self, name: str) -> State:
        """With a user (`USER[:GROUP]`) for later commands."""
        return replace(self, user_name=name)

    def hostname(self, name: str) -> State:
        """With a host name for later commands."""
        return replace(self, host_name=name)

    def on(self, platform: Platform) -> State:
        """With the platform of later commands."""
        return replace(self, platform=platforms.normalize(platform))

    def with_network(self, mode: NetMode) -> State:
        """With the network of later commands."""
        return replace(self, network=mode)

    def with_output(self, output: Output | None) -> State:
        """The same surroundings around another file system."""
        return replace(self, output=output)

    def run(
        self,
        args: str | Sequence[str],
        *,
        mounts: Iterable[MountSpec] = (),
        secrets: Iterable[SecretSpec] = (),
        ssh: Iterable[SSHSpec] = (),
        devices: Iterable[CDIDevice] = (),
        network: NetMode | None = None,
        security: SecurityMode = SecurityMode.SANDBOX,
        proxy: ProxyEnv | None = None,
        extra_hosts: Iterable[HostIP] = (),
        ulimits: Iterable[Ulimit] = (),
        cgroup_parent: str = "",
        valid_exit_codes: Iterable[int] = (),
        readonly_root: bool = False,
        label: Label = NO_LABEL,
    ) -> Execution:
        """Runs a command; a string is split as a shell would.

        Raises:
            DefinitionError: if there is no command.
        """
        spec = ExecSpec(
            args=tuple(shlex.split(args) if isinstance(args, str) else args),
            env=self.env.items(),
            cwd=self.cwd,
            user=self.user_name,
            hostname=self.host_name,
            cgroup_parent=cgroup_parent,
            proxy=proxy,
            extra_hosts=tuple(extra_hosts),
            ulimits=tuple(ulimits),
            valid_exit_codes=tuple(valid_exit_codes),
            network=self.network if network is None else network,
            security=security,
            platform=self.platform,
            mounts=tuple(mounts),
            secrets=tuple(secrets),
            ssh=tuple(ssh),
            devices=tuple(devices),
        )
        return Execution(self, ExecNode(spec, self.output, readonly_root, label))

    def file(self, actions: Actions, label: Label = NO_LABEL) -> State:
        """Changes files without a process; relative paths are below the working directory."""
        return self.with_output(Output(FileNode(self.output, self.cwd, actions, label)))

    def define(self, platform: Platform | None = None) -> Definition:
        """The graph below this state. `platform` (default: this machine's) is for vertices that name none."""
        return define(self.output, platform or platforms.host())


@frozen
class Execution:
    """A command and what comes out of it."""

    state: State
    node: ExecNode

    def root(self) -> State:
        """The root file system after the command."""
        return self.mount(ROOT)

    def mount(self, dest: str) -> State:
        """What the command left in a writable mount.

        Raises:
            DefinitionError: if nothing written there is kept.
        """
        return self.state.with_output(Output(self.node, self.node.output_of(dest)))


def scratch() -> State:
    """An empty file system."""
    return State()


def merge(states: Sequence[State], label: Label = NO_LABEL) -> State:
    """File systems laid over each other, the first lowest, with the first's surroundings. Empty ones drop out."""
    filled = [state for state in states if state.output is not None]
    if len(filled) < 2:
        return filled[0] if filled else scratch()
    outputs = tuple(state.output for state in filled if state.output is not None)
    return filled[0].with_output(Output(MergeNode(outputs, label)))


def diff(lower: State, upper: State, label: Label = NO_LABEL) -> State:
    """What has to be done to `lower` to make it `upper`."""
    if lower.output is None:
        return upper
    return lower.with_output(Output(DiffNode(lower.output, upper.output, label)))


def made(definition: Definition) -> State:
    """A state of a definition that exists already."""
    root = definition.root
    if root is None:
        return scratch()
    return State(Output(MadeNode(definition, definition.vertices[root.vertex]), root.index))


def bind(dest: str, source: State, *, path: str = "", readonly: bool = False, discard: bool = False) -> MountSpec:
    """Mounts a state, or a path of it. What is written is an output unless discarded."""
    return MountSpec(dest, source.output, selector=path, readonly=readonly, no_output=discard)


def cache(dest: str, id: str, *, sharing: str = "shared", source: State | None = None, path: str = "") -> MountSpec:
    """Mounts a folder that outlives the build. `sharing`: shared, private or locked."""
    return MountSpec(dest, (source or scratch()).output, selector=path, cache=cache_opt(id, sharing))


def tmpfs(dest: str, size: int = 0) -> MountSpec:
    """Mounts memory; `size` in bytes, 0 for no limit."""
    return MountSpec(dest, tmpfs=TmpfsOpt(size))


def secret(id: str, dest: str | None = None, *, env: str | None = None, optional: bool = False) -> SecretSpec:
    """A secret as a file, by default `/run/secrets/ID`, or as a variable."""
    return SecretSpec(id, dest or (None if env else f"/run/secrets/{id}"), env, optional=optional)


def ssh(id: str = "default", dest: str = "", *, optional: bool = False) -> SSHSpec:
    """A forwarded ssh agent."""
    return SSHSpec(id, dest, optional=optional)


__all__ = [
    "Env",
    "Execution",
    "Label",
    "State",
    "bind",
    "cache",
    "diff",
    "made",
    "merge",
    "scratch",
    "secret",
    "ssh",
    "tmpfs",
]

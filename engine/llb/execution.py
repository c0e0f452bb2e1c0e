"""How a command becomes an ExecOp: the order of mounts, the numbers of inputs and outputs, and the caps.

Mounts are sorted by destination; inputs that are the same edge are one; outputs count the writable bind mounts.
Secret and ssh mounts come after all others, unsorted, with output 0 (as BuildKit's client writes them).
"""

from __future__ import annotations

from dataclasses import field

from engine.errors import DefinitionError
from engine.llb.definition import Edge, Vertex
from engine.llb.nodes import Defining, Label, Node, Output, settled
from engine.llb.ops import (
    NO_OUTPUT,
    SCRATCH,
    CacheOpt,
    CacheSharing,
    CDIDevice,
    ContentCache,
    ExecOp,
    HostIP,
    Meta,
    Mount,
    MountType,
    NetMode,
    Platform,
    ProxyEnv,
    SecretEnv,
    SecretOpt,
    SecurityMode,
    SSHOpt,
    TmpfsOpt,
    Ulimit,
)
from engine.values import frozen

ROOT = "/"
SSH_AUTH_SOCK = "SSH_AUTH_SOCK"
_PLAIN_CAPS = frozenset({"exec.meta.base", "exec.meta.setsdefaultpath", "exec.mount.bind"})
_META_CAPS = frozenset({"exec.meta.base", "exec.meta.setsdefaultpath"})


@frozen
class MountSpec:
    """A bind, cache or tmpfs mount. `source` None is an empty file system."""

    dest: str
    source: Output | None = None
    selector: str = ""
    readonly: bool = False
    no_output: bool = False
    cache: CacheOpt | None = None
    tmpfs: TmpfsOpt | None = None
    content_cache: ContentCache = ContentCache.DEFAULT

    @property
    def type(self) -> MountType:
        """What it shows."""
        if self.tmpfs is not None:
            return MountType.TMPFS
        return MountType.BIND if self.cache is None else MountType.CACHE

    @property
    def writes(self) -> bool:
        """Whether what is written there is an output of the step."""
        return not (self.readonly or self.no_output or self.cache or self.tmpfs)


@frozen
class SecretSpec:
    """A secret as a file (`dest`), as a variable (`env`), or both. The mode is in bits, such as 0o400."""

    id: str
    dest: str | None
    env: str | None = None
    uid: int = 0
    gid: int = 0
    mode: int = 0o400
    optional: bool = False


@frozen
class SSHSpec:
    """A forwarded agent; without `dest` at `/run/buildkit/ssh_agent.N`."""

    id: str
    dest: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    optional: bool = False


@frozen
class ExecSpec:
    """Everything about a command but its root file system."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = ROOT
    user: str = ""
    hostname: str = ""
    cgroup_parent: str = ""
    proxy: ProxyEnv | None = None
    extra_hosts: tuple[HostIP, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    valid_exit_codes: tuple[int, ...] = ()
    network: NetMode = NetMode.UNSET
    security: SecurityMode = SecurityMode.SANDBOX
    platform: Platform | None = None
    mounts: tuple[MountSpec, ...] = ()
    secrets: tuple[SecretSpec, ...] = ()
    ssh: tuple[SSHSpec, ...] = ()
    devices: tuple[CDIDevice, ...] = field(default=())


class ExecNode(Node):
    """A command to run. The root file system is the mount at `/`."""

    __slots__ = ("mounts", "spec")

    def __init__(self, spec: ExecSpec, root: Output | None, readonly_root: bool, label: Label) -> None:
        super().__init__(label)
        if not spec.args:
            raise DefinitionError("arguments are required")
        self.spec = spec
        mounts = (MountSpec(ROOT, root, readonly=readonly_root), *spec.mounts)
        self.mounts = tuple(sorted(mounts, key=lambda m: m.dest.encode())) if spec.mounts else mounts

    def output_of(self, dest: str) -> int:
        """The number of the output that a writable mount is.

        Raises:
            DefinitionError: if there is no such mount, or nothing written there is kept.
        """
        writable = [m.dest for m in self.mounts if m.writes]
        if dest not in writable:
            raise DefinitionError(f"nothing is kept of what the step writes to {dest}")
        return writable.index(dest)

    def inputs(self) -> tuple[Output, ...]:
        """See `Node.inputs`."""
        return tuple(m.source for m in self.mounts if m.source is not None)

    def make(self, work: Defining) -> Vertex:
        """See `Node.make`."""
        mounts, edges, caps = self._mounts(work)
        spec = self.spec
        ssh = tuple(SSHOpt(s.id, s.uid, s.gid, s.mode, s.optional) for s in spec.ssh)
        sockets = [s.dest or f"/run/buildkit/ssh_agent.{at}" for at, s in enumerate(spec.ssh)]
        mounts += [
            Mount(SCRATCH, dest=s.dest, mount_type=MountType.SECRET, secret_opt=_secret_opt(s))
            for s in spec.secrets
            if s.dest is not None
        ]
        mounts += [
            Mount(SCRATCH, dest=dest, mount_type=MountType.SSH, ssh_opt=opt)
            for dest, opt in zip(sockets, ssh, strict=True)
        ]
        body = ExecOp(
            meta=self._meta(sockets),
            mounts=tuple(mounts),
            network=spec.network,
            security=spec.security,
            secretenv=tuple(SecretEnv(s.id, s.env, s.optional) for s in spec.secrets if s.env is not None),
            cdi_devices=spec.devices,
        )
        return work.vertex(self, body, tuple(edges), spec.platform or work.platform, caps)

    def _mounts(self, work: Defining) -> tuple[list[Mount], list[Edge], frozenset[str]]:
        if len(self.mounts) == 1 and self.mounts[0].writes:  # nearly every step
            source = settled(self.mounts[0].source)
            caps = self._caps(source is not None)
            return [Mount(SCRATCH if source is None else 0, dest=ROOT)], [work.edge(source)] if source else [], caps
        numbers: dict[Edge, int] = {}
        out: list[Mount] = []
        outputs = 0
        binds = False
        for m in self.mounts:
            source = settled(m.source)
            if m.tmpfs is not None and source is not None:
                raise DefinitionError("tmpfs mounts must use scratch")
            number = SCRATCH if source is None else numbers.setdefault(work.edge(source), len(numbers))
            binds |= source is not None and m.cache is None and m.tmpfs is None
            out.append(
                Mount(
                    input=number,
                    selector=m.selector,
                    dest=m.dest,
                    output=outputs if m.writes else NO_OUTPUT,
                    readonly=m.readonly,
                    mount_type=m.type,
                    tmpfs_opt=m.tmpfs,
                    cache_opt=m.cache,
                    content_cache=m.content_cache,
                )
            )
            outputs += m.writes
        return out, list(numbers), self._caps(binds)

    def _meta(self, sockets: list[str]) -> Meta:
        spec, env = self.spec, self.spec.env
        if sockets and not any(item.startswith(SSH_AUTH_SOCK + "=") for item in env):
            env = (*env, f"{SSH_AUTH_SOCK}={sockets[0]}")
        return Meta(
            args=spec.args,
            env=env,
            cwd=spec.cwd,
            user=spec.user,
            proxy_env=spec.proxy,
            extra_hosts=spec.extra_hosts,
            hostname=spec.hostname,
            ulimit=spec.ulimits,
            cgroup_parent=spec.cgroup_parent,
            remove_mount_stubs_recursive=True,
            valid_exit_codes=spec.valid_exit_codes,
        )

    def _caps(self, binds: bool) -> frozenset[str]:
        spec = self.spec
        caches = [m.cache for m in self.mounts if m.cache]
        tmpfs = [m.tmpfs for m in self.mounts if m.tmpfs and not m.cache]
        wanted = {
            "exec.meta.ulimit": spec.ulimits,
            "exec.meta.linux.resources": self.label.resources,
            "exec.meta.network": spec.network,
            "exec.meta.security": spec.security,
            "exec.meta.proxyenv": spec.proxy,
            "exec.meta.cdi": spec.devices,
            "exec.validexitcode": spec.valid_exit_codes,
            "exec.mount.selector": any(m.selector for m in self.mounts),
            "exec.mount.cache": caches,
            "exec.mount.cache.sharing": caches,
            "exec.mount.tmpfs": tmpfs,
            "exec.mount.tmpfs.size": any(t.size > 0 for t in tmpfs),
            "exec.mount.cache.content": any(m.content_cache for m in self.mounts),
            "exec.mount.secret": spec.secrets,
            "exec.secretenv": any(s.env is not None for s in spec.secrets),
            "exec.mount.ssh": spec.ssh,
        }
        base = _PLAIN_CAPS if binds else _META_CAPS
        more = [cap for cap, on in wanted.items() if on]
        return base.union(more) if more else base


def _secret_opt(secret: SecretSpec) -> SecretOpt:
    return SecretOpt(secret.id, secret.uid, secret.gid, secret.mode, secret.optional)


def cache_opt(id: str, sharing: str = "shared") -> CacheOpt:
    """A cache mount's name and sharing mode: `shared`, `private` or `locked`."""
    return CacheOpt(id, CacheSharing[sharing.upper()])

"""The records of LLB: one frozen class for each message of BuildKit's `solver/pb/ops.proto`.

Field numbers, JSON names and the names in Go's encoding/json are those of that file, so that a definition written here
loads in BuildKit's own tools and a vertex has the same digest there. See `engine.llb.wire` for the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from engine.llb.wire import (
    BOOL,
    BOOL_MAP,
    BYTES,
    BYTES_LIST,
    INT32,
    INT32S,
    INT64,
    INT64S,
    STRING,
    STRING_MAP,
    STRINGS,
    UINT32,
    enum,
    many,
    map_of,
    one,
    wire,
)
from engine.values import frozen

SCRATCH = -1
"""An input index that means an empty file system."""
NO_OUTPUT = -1
"""An output index that means the result is thrown away."""
KEEP = -1
"""A mode or timestamp that means as it is at the source."""


class NetMode(IntEnum):
    """The network of a step: UNSET is the sandbox's default."""

    UNSET = 0
    HOST = 1
    NONE = 2


class SecurityMode(IntEnum):
    """INSECURE takes the sandbox's restrictions off; it needs an entitlement."""

    SANDBOX = 0
    INSECURE = 1


class MountType(IntEnum):
    """What a mount shows."""

    BIND = 0
    SECRET = 1
    SSH = 2
    CACHE = 3
    TMPFS = 4


class CacheSharing(IntEnum):
    """Whether steps that run at the same time may use one cache mount together."""

    SHARED = 0
    PRIVATE = 1
    LOCKED = 2


class ContentCache(IntEnum):
    """Whether a mount's content, instead of its origin, decides the cache key."""

    DEFAULT = 0
    ON = 1
    OFF = 2


@frozen
class Input:
    """One output of another vertex."""

    digest: str = wire(1, STRING)
    index: int = wire(2, INT64)


@frozen
class Platform:
    """`pb.Platform`; kept normalised. See `engine.platforms` for its text form and matching."""

    architecture: str = wire(1, STRING, "Architecture")
    os: str = wire(2, STRING, "OS")
    variant: str = wire(3, STRING, "Variant")
    os_version: str = wire(4, STRING, "OSVersion")
    os_features: tuple[str, ...] = wire(5, STRINGS, "OSFeatures")


@frozen
class WorkerConstraints:
    """Always written, even when empty: the bytes `5a 00` are part of every digest."""

    filter: tuple[str, ...] = wire(1, STRINGS)


# ---------------------------------------------------------------- exec


@frozen
class HostIP:
    """An extra line of /etc/hosts."""

    host: str = wire(1, STRING, "Host")
    ip: str = wire(2, STRING, "IP")


@frozen
class Ulimit:
    """A resource limit of the process."""

    name: str = wire(1, STRING, "Name")
    soft: int = wire(2, INT64, "Soft")
    hard: int = wire(3, INT64, "Hard")


@frozen
class ProxyEnv:
    """Proxy settings that the step sees but that do not count for its cache key."""

    http_proxy: str = wire(1, STRING, go="http_proxy")
    https_proxy: str = wire(2, STRING, go="https_proxy")
    ftp_proxy: str = wire(3, STRING, go="ftp_proxy")
    no_proxy: str = wire(4, STRING, go="no_proxy")
    all_proxy: str = wire(5, STRING, go="all_proxy")


@frozen
class Meta:
    """What is run, and in which surroundings."""

    args: tuple[str, ...] = wire(1, STRINGS)
    env: tuple[str, ...] = wire(2, STRINGS)
    cwd: str = wire(3, STRING)
    user: str = wire(4, STRING)
    proxy_env: ProxyEnv | None = wire(5, one(ProxyEnv), go="proxy_env")
    extra_hosts: tuple[HostIP, ...] = wire(6, many(HostIP))
    hostname: str = wire(7, STRING)
    ulimit: tuple[Ulimit, ...] = wire(9, many(Ulimit))
    cgroup_parent: str = wire(10, STRING)
    remove_mount_stubs_recursive: bool = wire(11, BOOL)
    valid_exit_codes: tuple[int, ...] = wire(12, INT32S)


@frozen
class SecretEnv:
    """A secret given as an environment variable."""

    id: str = wire(1, STRING, "ID")
    name: str = wire(2, STRING)
    optional: bool = wire(3, BOOL)


@frozen
class CDIDevice:
    """A device in the Container Device Interface's naming."""

    name: str = wire(1, STRING)
    optional: bool = wire(2, BOOL)


@frozen
class TmpfsOpt:
    """`size` in bytes; 0 is no limit."""

    size: int = wire(1, INT64)


@frozen
class CacheOpt:
    """Which cache mount, and how it is shared."""

    id: str = wire(1, STRING, "ID")
    sharing: CacheSharing = wire(2, enum(CacheSharing))


@frozen
class SecretOpt:
    """Which secret, and as whose file."""

    id: str = wire(1, STRING, "ID")
    uid: int = wire(2, UINT32)
    gid: int = wire(3, UINT32)
    mode: int = wire(4, UINT32)
    optional: bool = wire(5, BOOL)


@frozen
class SSHOpt:
    """Which agent, and as whose socket."""

    id: str = wire(1, STRING, "ID")
    uid: int = wire(2, UINT32)
    gid: int = wire(3, UINT32)
    mode: int = wire(4, UINT32)
    optional: bool = wire(5, BOOL)


@frozen
class Mount:
    """One mount of a step. `input` indexes the op's inputs; the writable ones number the op's outputs."""

    input: int = wire(1, INT64)
    selector: str = wire(2, STRING)
    dest: str = wire(3, STRING)
    output: int = wire(4, INT64)
    readonly: bool = wire(5, BOOL)
    mount_type: MountType = wire(6, enum(MountType))
    tmpfs_opt: TmpfsOpt | None = wire(19, one(TmpfsOpt), "TmpfsOpt")
    cache_opt: CacheOpt | None = wire(20, one(CacheOpt))
    secret_opt: SecretOpt | None = wire(21, one(SecretOpt))
    ssh_opt: SSHOpt | None = wire(22, one(SSHOpt), "SSHOpt")
    result_id: str = wire(23, STRING, "resultID")
    content_cache: ContentCache = wire(24, enum(ContentCache))


@frozen
class ExecOp:
    """Runs a command."""

    meta: Meta | None = wire(1, one(Meta))
    mounts: tuple[Mount, ...] = wire(2, many(Mount))
    network: NetMode = wire(3, enum(NetMode))
    security: SecurityMode = wire(4, enum(SecurityMode))
    secretenv: tuple[SecretEnv, ...] = wire(5, many(SecretEnv))
    cdi_devices: tuple[CDIDevice, ...] = wire(6, many(CDIDevice))


# ---------------------------------------------------------------- source, file


@frozen
class SourceOp:
    """Where files come from: `docker-image://`, `local://`, `git://`, `http(s)://`, `oci-layout://`."""

    identifier: str = wire(1, STRING)
    attrs: Mapping[str, str] = wire(2, STRING_MAP)


@frozen
class NamedUserOpt:
    """A user or group by name, looked up in the passwd or group file of an input."""

    name: str = wire(1, STRING)
    input: int = wire(2, INT64)


@frozen
class UserOpt:
    """A user or group, by name or by number."""

    by_name: NamedUserOpt | None = wire(1, one(NamedUserOpt), oneof="user")
    by_id: int | None = wire(2, UINT32, "byID", go="byId", oneof="user")


@frozen
class ChownOpt:
    """The owner of what a file action makes."""

    user: UserOpt | None = wire(1, one(UserOpt))
    group: UserOpt | None = wire(2, one(UserOpt))


@frozen
class Copy:
    """Copies paths of the secondary input into the primary one. `timestamp` in nanoseconds, -1 keeps."""

    src: str = wire(1, STRING)
    dest: str = wire(2, STRING)
    owner: ChownOpt | None = wire(3, one(ChownOpt))
    mode: int = wire(4, INT32)
    follow_symlink: bool = wire(5, BOOL)
    dir_copy_contents: bool = wire(6, BOOL)
    attempt_unpack: bool = wire(7, BOOL, "attemptUnpackDockerCompatibility")
    create_dest_path: bool = wire(8, BOOL)
    allow_wildcard: bool = wire(9, BOOL)
    allow_empty_wildcard: bool = wire(10, BOOL)
    timestamp: int = wire(11, INT64)
    include_patterns: tuple[str, ...] = wire(12, STRINGS, go="include_patterns")
    exclude_patterns: tuple[str, ...] = wire(13, STRINGS, go="exclude_patterns")
    always_replace_existing_dest_paths: bool = wire(14, BOOL)
    mode_str: str = wire(15, STRING)
    required_paths: tuple[str, ...] = wire(16, STRINGS, go="required_paths")


@frozen
class MkFile:
    """Writes one file."""

    path: str = wire(1, STRING)
    mode: int = wire(2, INT32)
    data: bytes = wire(3, BYTES)
    owner: ChownOpt | None = wire(4, one(ChownOpt))
    timestamp: int = wire(5, INT64)


@frozen
class MkDir:
    """Makes a folder, with its parents if told so."""

    path: str = wire(1, STRING)
    mode: int = wire(2, INT32)
    make_parents: bool = wire(3, BOOL)
    owner: ChownOpt | None = wire(4, one(ChownOpt))
    timestamp: int = wire(5, INT64)


@frozen
class Rm:
    """Removes a path, or the paths that match it."""

    path: str = wire(1, STRING)
    allow_not_found: bool = wire(2, BOOL)
    allow_wildcard: bool = wire(3, BOOL)


@frozen
class Symlink:
    """Makes a symbolic link `newpath` to `oldpath`."""

    oldpath: str = wire(1, STRING)
    newpath: str = wire(2, STRING)
    owner: ChownOpt | None = wire(3, one(ChownOpt))
    timestamp: int = wire(4, INT64)


@frozen
class FileAction:
    """One change of a file system.

    `input` and `secondary_input` below the number of the op's inputs name one of them; beyond, an earlier action's
    result (`number of inputs + its index`); -1 is nothing.
    """

    input: int = wire(1, INT64)
    secondary_input: int = wire(2, INT64)
    output: int = wire(3, INT64)
    copy: Copy | None = wire(4, one(Copy), oneof="action")
    mkfile: MkFile | None = wire(5, one(MkFile), oneof="action")
    mkdir: MkDir | None = wire(6, one(MkDir), oneof="action")
    rm: Rm | None = wire(7, one(Rm), oneof="action")
    symlink: Symlink | None = wire(8, one(Symlink), oneof="action")


@frozen
class FileOp:
    """File system changes that need no process."""

    actions: tuple[FileAction, ...] = wire(2, many(FileAction))


# ---------------------------------------------------------------- build, merge, diff, passthrough


@frozen
class BuildInput:
    """An input of a nested build."""

    input: int = wire(1, INT64)


@frozen
class MergeInput:
    """One of the file systems laid over each other, the first lowest."""

    input: int = wire(1, INT64)


@frozen
class MergeOp:
    """Lays file systems over each other without copying."""

    inputs: tuple[MergeInput, ...] = wire(1, many(MergeInput))


@frozen
class DiffInput:
    """One side of a difference; -1 is an empty file system."""

    input: int = wire(1, INT64)


@frozen
class DiffOp:
    """What has to be done to `lower` to make it `upper`."""

    lower: DiffInput | None = wire(1, one(DiffInput))
    upper: DiffInput | None = wire(2, one(DiffInput))


@frozen
class PassthroughOp:
    """Hands its inputs on."""

    id: str = wire(1, STRING)
    outputs: tuple[int, ...] = wire(2, INT64S)


# ---------------------------------------------------------------- metadata and source map


@frozen
class ProgressGroup:
    """Vertices that a user sees as one step."""

    id: str = wire(1, STRING)
    name: str = wire(2, STRING)
    weak: bool = wire(3, BOOL)


@frozen
class ExportCache:
    """Whether a vertex may be exported to a cache."""

    value: bool = wire(1, BOOL, "Value")


@frozen
class LinuxResources:
    """Limits of a step that do not change what it makes. Memory in bytes, CPU period and quota in microseconds."""

    memory: int = wire(1, INT64)
    memory_swap: int = wire(2, INT64)
    cpu_shares: int = wire(3, INT64)
    cpu_period: int = wire(4, INT64)
    cpu_quota: int = wire(5, INT64)
    cpuset_cpus: str = wire(6, STRING)
    cpuset_mems: str = wire(7, STRING)


@frozen
class OpMetadata:
    """What is said about a vertex outside its digest."""

    ignore_cache: bool = wire(1, BOOL)
    description: Mapping[str, str] = wire(2, STRING_MAP)
    export_cache: ExportCache | None = wire(4, one(ExportCache))
    caps: Mapping[str, bool] = wire(5, BOOL_MAP)
    progress_group: ProgressGroup | None = wire(6, one(ProgressGroup))
    linux_resources: LinuxResources | None = wire(7, one(LinuxResources))


@frozen
class Position:
    """A place in a source text; lines count from 1."""

    line: int = wire(1, INT32)
    character: int = wire(2, INT32)


@frozen
class Range:
    """A stretch of a source text."""

    start: Position | None = wire(1, one(Position))
    end: Position | None = wire(2, one(Position))


@frozen
class Location:
    """Ranges in one of the definition's source texts."""

    source_index: int = wire(1, INT32)
    ranges: tuple[Range, ...] = wire(2, many(Range))


@frozen
class Locations:
    """Where a vertex was written."""

    locations: tuple[Location, ...] = wire(1, many(Location))


@frozen
class SourceInfo:
    """A source text, such as a Dockerfile. (`definition`, field 3, is not kept.)"""

    filename: str = wire(1, STRING)
    data: bytes = wire(2, BYTES)
    language: str = wire(4, STRING)


@frozen
class Source:
    """The source map of a definition, by vertex digest."""

    locations: Mapping[str, Locations] = wire(1, map_of(Locations))
    infos: tuple[SourceInfo, ...] = wire(2, many(SourceInfo))


@frozen
class RawDefinition:
    """`pb.Definition`: the marshalled vertices, depth first, the terminal one last."""

    def_: tuple[bytes, ...] = wire(1, BYTES_LIST, "def")
    metadata: Mapping[str, OpMetadata] = wire(2, map_of(OpMetadata))
    source: Source | None = wire(3, one(Source), "Source")


@frozen
class BuildOp:
    """Builds a definition found in one of its inputs."""

    builder: int = wire(1, INT64)
    inputs: Mapping[str, BuildInput] = wire(2, map_of(BuildInput))
    def_: RawDefinition | None = wire(3, one(RawDefinition), "def")
    attrs: Mapping[str, str] = wire(4, STRING_MAP)


Body = ExecOp | SourceOp | FileOp | BuildOp | MergeOp | DiffOp | PassthroughOp
"""What a vertex does; exactly one of these is set in an `Op`."""


@frozen
class Op:
    """One vertex. Platform is set on exec and on image sources only."""

    inputs: tuple[Input, ...] = wire(1, many(Input))
    exec: ExecOp | None = wire(2, one(ExecOp), oneof="op")
    source: SourceOp | None = wire(3, one(SourceOp), oneof="op")
    file: FileOp | None = wire(4, one(FileOp), oneof="op")
    build: BuildOp | None = wire(5, one(BuildOp), oneof="op")
    merge: MergeOp | None = wire(6, one(MergeOp), oneof="op")
    diff: DiffOp | None = wire(7, one(DiffOp), oneof="op")
    passthrough: PassthroughOp | None = wire(8, one(PassthroughOp), oneof="op")
    platform: Platform | None = wire(10, one(Platform))
    constraints: WorkerConstraints | None = wire(11, one(WorkerConstraints))

    @property
    def body(self) -> Body | None:
        """The one member that is set; None for a terminal vertex."""
        return (
            self.exec or self.source or self.file or self.build or self.merge or self.diff or self.passthrough or None
        )

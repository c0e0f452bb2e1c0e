"""The options of a build (`build-arg:X`, `platform`, `ulimit`, …), read once and checked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from engine import platforms
from engine.errors import DefinitionError
from engine.frontends.dockerfile.gotext import csv_fields, parse_bool, parse_int, parse_uint, quote
from engine.frontends.dockerfile.lower import platform as spelling
from engine.llb.ops import HostIP, LinuxResources, NetMode, Platform, ProxyEnv, Ulimit
from engine.llb.sources import RESOLVE_MODES
from engine.values import frozen

T = TypeVar("T")
A = TypeVar("A")

_NETWORKS = {"": NetMode.UNSET, "sandbox": NetMode.UNSET, "none": NetMode.NONE, "host": NetMode.HOST}
_ULIMITS = frozenset(
    [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ]
)
_MAX_CPU = 8192
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


@frozen
class Options:
    """What was asked for. `no_cache` None: nothing; empty: all stages. `platforms` empty: the machine's own."""

    build_args: Mapping[str, str]
    labels: Mapping[str, str]
    target: str
    platforms: tuple[Platform, ...]
    multi: bool
    no_cache: tuple[str, ...] | None
    resolve_mode: str
    network: NetMode
    hosts: tuple[HostIP, ...]
    shm_size: int
    ulimits: tuple[Ulimit, ...]
    resources: LinuxResources | None
    cgroup_parent: str
    hostname: str
    cache_namespace: str
    proxy: ProxyEnv | None

    def ignores_cache(self, stage: str) -> bool:
        """Whether a stage is to be run again whatever is known."""
        if not self.no_cache:
            return self.no_cache is not None
        return any(name.lower() == stage.lower() for name in self.no_cache)


def parse(given: Mapping[str, str]) -> Options:
    """The options of a request.

    Raises:
        DefinitionError: with the peer's message.
    """
    args = {key.removeprefix("build-arg:"): value for key, value in given.items() if key.startswith("build-arg:")}
    targets = _platforms(given.get("platform", ""))
    mode = given.get("image-resolve-mode", "")
    if mode and mode not in RESOLVE_MODES:
        raise DefinitionError(f"invalid image-resolve-mode: {mode}")
    hosts = _said("failed to parse additional hosts", _hosts, given.get("add-hosts", ""))
    shm = given.get("shm-size", "")
    shm_size = _said("failed to parse shm size", parse_int, shm) if shm else 0
    ulimits = _said("failed to parse ulimit", _ulimits, given.get("ulimit", ""))
    resources = _said("failed to parse resource limits", _resources, given)
    network = given.get("force-network-mode", "")
    if network not in _NETWORKS:
        raise DefinitionError(f"invalid netmode {network}")
    return Options(
        build_args=args,
        labels={key.removeprefix("label:"): value for key, value in given.items() if key.startswith("label:")},
        target=given.get("target", ""),
        platforms=targets,
        multi=_multi(args.get("BUILDKIT_MULTI_PLATFORM") or given.get("multi-platform", ""), len(targets) > 1),
        no_cache=_no_cache(given.get("no-cache")),
        resolve_mode=mode,
        network=_NETWORKS[network],
        hosts=hosts,
        shm_size=shm_size,
        ulimits=ulimits,
        resources=resources,
        cgroup_parent=given.get("cgroup-parent", ""),
        hostname=args.get("BUILDKIT_SANDBOX_HOSTNAME") or given.get("hostname", ""),
        cache_namespace=args.get("BUILDKIT_CACHE_MOUNT_NS", ""),
        proxy=_proxy(args),
    )


def _said(what: str, reader: Callable[[A], T], value: A) -> T:
    try:
        return reader(value)
    except ValueError as error:
        raise DefinitionError(f"{what}: {error}") from None


def _platforms(text: str) -> tuple[Platform, ...]:
    out = []
    for item in text.split(",") if text else ():
        try:
            out.append(platforms.normalize(spelling.parse(item)))
        except spelling.PlatformError as error:
            raise DefinitionError(f"failed to parse target platform {item}: {error}") from None
    return tuple(out)


def _multi(text: str, several: bool) -> bool:
    if not text:
        return several
    wanted = parse_bool(text)
    if wanted is None:
        raise DefinitionError(f"invalid boolean value for multi-platform: {text}")
    if several and not wanted:
        raise DefinitionError("conflicting config: returning multiple target platforms is not allowed")
    return wanted


def _no_cache(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(text.split(",")) if text else ()


def _hosts(text: str) -> tuple[HostIP, ...]:
    out = []
    for item in csv_fields(text) if text else ():
        name, equals, address = item.lower().partition("=")
        if not equals:
            raise ValueError(f"invalid key-value pair {item}")
        try:
            out.append(HostIP(name, _address(address)))
        except ValueError:
            raise ValueError(f"failed to parse IP {address}") from None
    return tuple(out)


def _address(text: str) -> str:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _ulimits(text: str) -> tuple[Ulimit, ...]:
    return tuple(_ulimit(item) for item in (csv_fields(text) if text else ()))


def _ulimit(text: str) -> Ulimit:
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    values = limits.split(":")
    if len(values) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    hard = parse_int(values[1]) if len(values) == 2 else None
    soft = parse_int(values[0])
    hard = soft if hard is None else hard
    if hard != -1 and (soft == -1 or soft > hard):
        shown = f"soft: -1 (unlimited), hard: {hard}" if soft == -1 else f"{soft} > {hard}"
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {shown}")
    return Ulimit(name, soft, hard)


def _resources(given: Mapping[str, str]) -> LinuxResources | None:
    limits = LinuxResources(
        memory=_limit(given, "memory"),
        memory_swap=_limit(given, "memswap", unlimited=True),
        cpu_shares=_limit(given, "cpushares", unsigned=True),
        cpu_period=_limit(given, "cpuperiod", unsigned=True),
        cpu_quota=_limit(given, "cpuquota"),
        cpuset_cpus=_cpuset(given, "cpusetcpus"),
        cpuset_mems=_cpuset(given, "cpusetmems"),
    )
    return None if limits == LinuxResources() else limits


def _limit(given: Mapping[str, str], key: str, *, unlimited: bool = False, unsigned: bool = False) -> int:
    text = given.get(key, "")
    if not text:
        return 0
    try:
        if unsigned and parse_uint(text, 10, 64) is None:
            raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
        value = parse_int(text)
    except ValueError as error:
        raise ValueError(f"invalid {key} value: {text}: {error}") from None
    if value > 0 or (unlimited and value == -1):
        return value
    raise ValueError(f"invalid {key} value: {text}: must be {'-1 (unlimited) or ' if unlimited else ''}> 0")


def _cpuset(given: Mapping[str, str], key: str) -> str:
    text = given.get(key, "")
    for part in filter(None, (item.strip() for item in text.split(","))):
        if reason := _bad_cpus(part):
            raise ValueError(f"invalid {key} value: {text}: {reason}")
    return text


def _bad_cpus(part: str) -> str:
    first, dash, last = part.partition("-")
    ends = [end.strip() for end in ((first, last) if dash else (first,))]
    what = "range" if dash else "element"
    numbers = [int(end) for end in ends if re.fullmatch(r"\+?[0-9]{1,9}", end)]
    if len(numbers) < len(ends) or numbers != sorted(numbers):
        return f"invalid cpuset {what} {quote(part)}"
    return f"cpuset {what} {quote(part)} exceeds maximum {_MAX_CPU}" if numbers[-1] > _MAX_CPU else ""


def _proxy(args: Mapping[str, str]) -> ProxyEnv | None:
    found = {}
    for key in sorted(args):
        if key.lower() in _PROXIES:
            found[key.lower()] = args[key]
    return ProxyEnv(**found) if found else None

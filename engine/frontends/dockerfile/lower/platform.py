"""Platforms as `FROM --platform` and the option `platform` write them, with the peer's messages.

A parsed platform is not normalised: an image's vertex holds it as it was written (`arm64/v8` keeps its v8), while
commands run on the normal form. `engine.platforms` is for everybody else.
"""

from __future__ import annotations

import re
from functools import lru_cache

from engine import platforms
from engine.frontends.dockerfile.gotext import quote
from engine.llb.ops import Platform

_OS = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?")
_OS_TEXT = "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%-]*)((?:\\\\+[A-Za-z0-9_.%-]+)*)\\\\))?$"
_PART = re.compile(r"[A-Za-z0-9_.-]+")
_PART_TEXT = "^[A-Za-z0-9_.-]+$"
_INVALID = "invalid argument"
_KNOWN_OS = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
    ]
)
_KNOWN_ARCH = frozenset(
    [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "ppc64",
        "ppc64le",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ]
)


class PlatformError(ValueError):
    """A text that is no platform."""


def parse(text: str) -> Platform:
    """A platform, not normalised.

    Raises:
        PlatformError: with the message of containerd's parser.
    """
    if "*" in text:
        raise PlatformError(f"{quote(text)}: wildcards not yet supported: {_INVALID}")
    parts = text.split("/", 3)
    os = _OS.fullmatch(parts[0])
    if os is None:
        raise PlatformError(
            f"{quote(parts[0])} is an invalid OS component of {quote(text)}: "
            f'OSAndVersion specifier component must match "{_OS_TEXT}": {_INVALID}'
        )
    for part in parts[1:]:
        if not _PART.fullmatch(part):
            raise PlatformError(
                f"{quote(part)} is an invalid component of {quote(text)}: "
                f'platform specifier component must match "{_PART_TEXT}": {_INVALID}'
            )
    name = platforms.normalize(Platform(os=os[1])).os
    features = tuple(item for item in (os[3] or "").split("+") if item)
    if len(parts) == 1:
        return _from_one(text, name, os[2] or "", features)
    if len(parts) > 3:
        raise PlatformError(f"{quote(text)}: cannot parse platform specifier: {_INVALID}")
    arch, variant = _arch(parts[1], parts[2] if len(parts) == 3 else "")
    if len(parts) == 2 and (arch, variant) == ("arm", "v7"):
        variant = ""
    if len(parts) == 3 and (arch, variant) == ("arm64", ""):
        variant = "v8"
    return Platform(arch, name, variant, os[2] or "", features)


def _from_one(text: str, name: str, version: str, features: tuple[str, ...]) -> Platform:
    host = platforms.host()
    if name in _KNOWN_OS:
        return Platform(host.architecture, name, "", version, features)
    arch, variant = _arch(text, "")
    if arch not in _KNOWN_ARCH:
        raise PlatformError(f"{quote(text)}: unknown operating system or architecture: {_INVALID}")
    return Platform(arch, host.os, "" if (arch, variant) == ("arm", "v7") else variant, version, features)


def _arch(arch: str, variant: str) -> tuple[str, str]:
    normal = platforms.normalize(Platform(arch, "linux", variant))
    return normal.architecture, normal.variant


@lru_cache(maxsize=256)
def format_all(platform: Platform) -> str:
    """`OS[(VERSION+FEATURE)]/ARCH[/VARIANT]`."""
    if not platform.os:
        return "unknown"
    name = platform.os
    features = "".join(f"+{feature}" for feature in sorted(set(platform.os_features)) if feature)
    if platform.os_version or features:
        name += f"({platform.os_version}{features})"
    return "/".join(part for part in (name, platform.architecture, platform.variant) if part)


def of_config(config: dict[str, object]) -> Platform:
    """The platform of an image config."""
    features = config.get("os.features")
    return Platform(
        str(config.get("architecture") or ""),
        str(config.get("os") or ""),
        str(config.get("variant") or ""),
        str(config.get("os.version") or ""),
        tuple(features) if isinstance(features, list) else (),
    )

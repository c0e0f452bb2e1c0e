"""Platforms as people write them (`linux/arm64/v8`) and as records hold them.

Normalisation and matching follow containerd's `platforms` package, as every container tool does.
"""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache

from engine.llb.ops import Platform
from engine.values import replace

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_OS_ALIASES = {"macos": "darwin"}
_ARCHITECTURES = {
    "i386": ("386", None),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
# As Go names them.
_KNOWN_OS = {"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux"}
_KNOWN_OS |= {"nacl", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos"}


def parse(text: str) -> Platform:
    """A platform from `OS/ARCH[/VARIANT]`, `OS`, `ARCH` or `local`, normalised.

    Raises:
        ValueError: if it is not a platform.
    """
    parts = text.split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f'"{text}" is not a platform: write OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64')
    if text == "local":
        return host()
    if len(parts) == 1:
        word = parts[0].lower()
        if _OS_ALIASES.get(word, word) in _KNOWN_OS:
            return normalize(Platform(host().architecture, word, host().variant))
        return normalize(Platform(word, "linux"))
    return normalize(Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else ""))


@lru_cache(maxsize=256)
def normalize(platform: Platform) -> Platform:
    """The one spelling of a platform: lower case, aliases replaced, the variant that everybody has left out."""
    os_name = platform.os.lower()
    arch, variant = platform.architecture.lower(), platform.variant.lower()
    arch, forced = _ARCHITECTURES.get(arch, (arch, None))
    variant = forced or variant
    if (arch == "amd64" and variant == "v1") or (arch == "arm64" and variant in ("8", "v8")):
        variant = ""
    elif arch == "arm":
        variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    features = tuple(sorted(set(platform.os_features)))
    os_name = _OS_ALIASES.get(os_name, os_name)
    return replace(platform, os=os_name, architecture=arch, variant=variant, os_features=features)


def format(platform: Platform) -> str:
    """`OS/ARCH[/VARIANT]`."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


@cache
def host() -> Platform:
    """The platform of this machine's kernel."""
    machine = os.uname().machine
    known = {"armv7l": ("arm", "v7"), "armv6l": ("arm", "v6"), "i686": ("386", "")}
    arch, variant = known.get(machine, (machine, ""))
    return normalize(Platform(arch, "linux", variant))


def candidates(platform: Platform) -> list[Platform]:
    """The platforms whose programs run where `platform` is asked for, best first: arm/v7 also takes v6 and v5."""
    wanted = normalize(platform)
    out = [wanted]
    if wanted.architecture == "amd64" and wanted.variant:
        level = int(wanted.variant[1:]) if wanted.variant[1:].isdigit() else 1
        out += [replace(wanted, variant=f"v{n}" if n > 1 else "") for n in range(level - 1, 0, -1)]
    if wanted.architecture == "arm":
        level = int(wanted.variant[1:]) if wanted.variant[1:].isdigit() else 7
        out += [replace(wanted, variant=f"v{n}") for n in range(level - 1, 4, -1)]
    if wanted.architecture == "arm64" and not wanted.variant:
        out += [replace(wanted, architecture="arm", variant=f"v{n}") for n in (8, 7, 6, 5)]
    return out


def choose(wanted: Platform, offered: list[Platform]) -> int | None:
    """The index of the best of the offered platforms, or None if none of them runs there."""
    normal = [replace(normalize(p), os_version="", os_features=()) for p in offered]
    for candidate in candidates(replace(wanted, os_version="", os_features=())):
        if candidate in normal:
            return normal.index(candidate)
    return None

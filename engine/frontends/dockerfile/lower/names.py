"""What progress shows for a step: `[build 2/5] RUN make`."""

from __future__ import annotations

import contextlib

from engine import platforms
from engine.frontends.dockerfile.expand import Expander, ExpansionError, Variables
from engine.frontends.dockerfile.lower import platform as spelling
from engine.frontends.dockerfile.lower.stage import Stage
from engine.llb.ops import Platform
from engine.llb.state import EMPTY_ENV, Env

_INTERNAL = "[internal] "


def internal(text: str) -> str:
    """The name of a vertex that no instruction wrote."""
    return _INTERNAL + text


def shown(code: str, expander: Expander, variables: Variables) -> str:
    """An instruction with its variables replaced and its keyword in upper case; as written if that fails."""
    with contextlib.suppress(ExpansionError):
        code = expander.text(code, variables)
    keyword, space, rest = code.partition(" ")
    return keyword.upper() + space + rest


def count(stage: Stage) -> None:
    """Moves on to the stage's next step."""
    if stage.steps:
        stage.step += 1


def prefixed(stage: Stage, text: str, platform: Platform | None, env: Env = EMPTY_ENV) -> str:
    """A step's name with stage and number (see `count`)."""
    if not stage.steps:
        return text
    target = ""
    if stage.multi and platform is not None:
        target = spelling.format_all(platform) + _cross(platform, env) + " "
    title = stage.title + " " if stage.title else ""
    width = len(str(stage.steps))
    trigger = "ONBUILD " if stage.on_build else ""
    return f"[{target}{title}{stage.step:>{width}}/{stage.steps}] {trigger}{text}"


def _cross(base: Platform, env: Env) -> str:
    """` ->arm64` for a step that builds for another platform than it runs on, as its ARGs tell."""
    found = _target(env)
    if found is None:
        return ""
    target = platforms.normalize(
        Platform(found.architecture or base.architecture, found.os or base.os, found.variant, found.os_version)
    )
    if target.os != base.os:
        return "->" + spelling.format_all(target)
    if target.architecture == base.architecture:
        return ""
    return "->" + target.architecture + (f"/{target.variant}" if target.variant else "")


def _target(env: Env) -> Platform | None:
    parts: dict[str, str] = {}
    for key in env:
        if key == "TARGETPLATFORM":
            try:
                return spelling.parse(env.get(key) or "")
            except spelling.PlatformError:
                continue
        if key in ("TARGETOS", "TARGETARCH", "TARGETVARIANT"):
            parts[key] = env.get(key) or ""
    if not parts:
        return None
    return Platform(parts.get("TARGETARCH", ""), parts.get("TARGETOS", ""), parts.get("TARGETVARIANT", ""))

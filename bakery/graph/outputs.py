"""What a target asks for besides its steps: exports, caches, secrets, agents."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError, did_you_mean
from bakery.graph.local_path import local_path
from bakery.graph.statements import switch
from engine.exporters.contract import TYPES, Export
from engine.request import CacheBackend, Secret, SSHAgent

if TYPE_CHECKING:
    from bakery.config.target import CacheEntry, OutputEntry, SecretEntry, SSHEntry, Target

_LEVELS = "manifest|index|manifest-descriptor|index-descriptor"
_ANNOTATION = re.compile(
    rf"^(?P<levels>(?:{_LEVELS})(?:\[[^]]*\])?(?:,(?:{_LEVELS})(?:\[[^]]*\])?)*):(?P<rest>.*)$", re.S
)
_IMAGES = ("image", "registry", "oci", "docker")


def exports(target: Target, cwd: Path) -> tuple[Export, ...]:
    """The exports of a target; none leaves the result in the cache."""
    return tuple(_export(target, entry, cwd) for entry in target.output)


def _export(target: Target, entry: OutputEntry, cwd: Path) -> Export:
    attributes = dict(entry.attrs)
    kind = entry.type
    if kind not in TYPES:
        near = did_you_mean(kind, TYPES)
        raise BakeryError.of(
            f'target {target.name}: unknown output type "{kind}"',
            span=target.span_of("output"),
            hint=f'did you mean "{near}"?' if near else f"known are {', '.join(sorted(TYPES))}",
        )
    if kind in _IMAGES:
        if target.tags:
            attributes["name"] = ",".join(target.tags)
        attributes |= _annotations(target)
        if switch("BUILDX_NO_DEFAULT_OCI_ARTIFACT"):
            attributes.setdefault("oci-artifact", "false")
    if kind == "registry":
        kind = "image"
        attributes["push"] = "true"
    if entry.dest:
        attributes["dest"] = "-" if entry.dest == "-" else str(local_path(target, "output", cwd, entry.dest))
    if attributes.get("push") == "true" and not attributes.get("name"):
        raise BakeryError.of(
            f"target {target.name}: tag is needed when pushing to registry",
            span=target.span_of("output"),
            hint='set "tags" in the target, or name= in the output',
        )
    return Export(kind, attributes)


def _annotations(target: Target) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in target.annotations:
        match = _ANNOTATION.match(text)
        levels, rest = (match["levels"].split(","), match["rest"]) if match else (["manifest"], text)
        key, mark, value = rest.partition("=")
        if not mark or not key:
            raise BakeryError.of(
                f'target {target.name}: invalid annotation "{text}"',
                span=target.span_of("annotations"),
                hint=f"write KEY=VALUE, or LEVEL:KEY=VALUE with LEVEL one of {_LEVELS}",
            )
        for level in levels:
            name, bracket, platform = level.partition("[")
            out[f"annotation-{name}{bracket}{platform}.{key}"] = value
    return out


def cache_sources(target: Target, cwd: Path) -> tuple[CacheBackend, ...]:
    """Where a target's cache comes from; local paths are absolute."""
    return tuple(_backend(target, "cache-from", entry, cwd) for entry in target.cache_from)


def cache_sinks(target: Target, cwd: Path) -> tuple[CacheBackend, ...]:
    """Where a target's cache goes; local paths are absolute."""
    return tuple(_backend(target, "cache-to", entry, cwd) for entry in target.cache_to)


def _backend(target: Target, attribute: str, entry: CacheEntry, cwd: Path) -> CacheBackend:
    paths = {key: entry.attrs[key] for key in ("src", "dest") if key in entry.attrs}
    absolute = {key: str(local_path(target, attribute, cwd, text)) for key, text in paths.items()}
    return CacheBackend(entry.type, {**entry.attrs, **absolute})


def secrets(entries: tuple[SecretEntry, ...], cwd: Path) -> tuple[Secret, ...]:
    """Where the values of a target's secrets are."""
    return tuple(_secret(entry, cwd) for entry in entries)


def _secret(entry: SecretEntry, cwd: Path) -> Secret:
    if entry.command:
        return Secret(entry.id, cwd, command=entry.command, version=entry.version)
    if entry.env:
        return Secret(entry.id, env=entry.env, version=entry.version)
    if not entry.src and entry.id in os.environ:
        return Secret(entry.id, env=entry.id, version=entry.version)
    return Secret(entry.id, path=cwd / os.path.expanduser(entry.src or entry.id), version=entry.version)


def agents(entries: tuple[SSHEntry, ...], cwd: Path) -> tuple[SSHAgent, ...]:
    """The agents a target's steps may use."""
    return tuple(SSHAgent(e.id, tuple(cwd / os.path.expanduser(p) for p in e.paths)) for e in entries)

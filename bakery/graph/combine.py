"""Targets that are made of others: one index of platforms that have Dockerfiles of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError
from bakery.graph.frontend_request import links
from engine.frontends.contract import FrontendResult, PlatformResult

if TYPE_CHECKING:
    from bakery.config.target import Target


def needs(target: Target) -> tuple[str, ...]:
    """The targets whose results a target uses: as contexts, or as its own platforms."""
    return (*links(target).values(), *target.combine)


def combined(target: Target, results: Mapping[str, FrontendResult]) -> FrontendResult:
    """The platforms of all targets that a target combines, in their order; always an index.

    Raises:
        BakeryError: if two of them have the same platform.
    """
    platforms: dict[str, PlatformResult] = {}
    origins: dict[str, str] = {}
    for name in target.combine:
        for platform in results[name].platforms:
            if platform.id in platforms:
                both = f"{origins[platform.id]} and {name}"
                raise BakeryError.of(
                    f"target {target.name} cannot combine {both}: both are for {platform.id}",
                    span=target.span_of("combine"),
                    hint='give them different "platforms"',
                )
            platforms[platform.id] = platform
            origins[platform.id] = name
    return FrontendResult(tuple(platforms.values()), multi=True, epoch=_epoch(target, results))


def _epoch(target: Target, results: Mapping[str, FrontendResult]) -> int | None:
    """The index's own SOURCE_DATE_EPOCH, else that of its newest platform where all have one."""
    own = target.args.get("SOURCE_DATE_EPOCH", "")
    if own.isdecimal():
        return int(own)
    parts = [results[name].epoch for name in target.combine]
    return max((part for part in parts if part is not None), default=None) if None not in parts else None

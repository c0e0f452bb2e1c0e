"""Which statements about its images a target gets: what it asks for, and the provenance that bake gives unasked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bakery.config.textforms import parse_bool
from bakery.diagnostics import BakeryError
from engine.exporters.contract import Attest

if TYPE_CHECKING:
    from bakery.config.target import OutputEntry, Target

_UNASKED = Attest("provenance", {"mode": "min", "inline-only": "true"})


def attests(target: Target) -> tuple[Attest, ...]:
    """The statements. Images get the least provenance unless the target says anything about provenance itself.

    Raises:
        BakeryError: if buildx's switch in the environment is neither on nor off.
    """
    asked = tuple(Attest(entry.type, entry.attrs) for entry in target.attest if not entry.disabled)
    if any(entry.type == "provenance" for entry in target.attest):
        return asked
    index = bool(asked) or _is_index(target)
    if not any(_has_place(entry, index) for entry in target.output) or switch("BUILDX_NO_DEFAULT_ATTESTATIONS"):
        return asked
    return (*asked, _UNASKED)


def _is_index(target: Target) -> bool:
    """Whether the target's image is an index by itself: it has several platforms, or is to look as if."""
    several = len(",".join(target.platforms).split(",")) > 1
    return several or bool(target.combine) or "BUILDKIT_MULTI_PLATFORM" in target.args


def _has_place(entry: OutputEntry, index: bool) -> bool:
    """Whether an output has a place for statements that are for images only: archives have it if they are indexes."""
    return entry.type in ("image", "registry") or (
        entry.type == "oci" and (index or "attestation-inline" in entry.attrs)
    )


def switch(variable: str) -> bool:
    """Whether a switch of buildx's is on in the environment. Raises BakeryError if it says neither."""
    try:
        return parse_bool(os.environ.get(variable) or "false")
    except ValueError as error:
        raise BakeryError.of(f"invalid {variable}: {error}", hint="set it to true or false") from None

"""What a Dockerfile speaks of, whatever the values: for checking what a build gives it against what it takes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from engine.frontends.dockerfile.gotext import csv_fields
from engine.frontends.dockerfile.instructions import Arg, CopyFiles, Dockerfile, Instruction, Onbuild, Run
from engine.frontends.dockerfile.lower import reference

_SECRET = "secret"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names in a Dockerfile. Of those that hold a variable nothing is known: `open_names`, `open_secrets` say so.

    Attributes:
        args: what is declared by ARG.
        names: stages, images and the sources of `--from`, in the short form that named contexts have.
        secrets: the ids of secrets, and whether a step needs them.
        open_names: some image or source holds a variable, or triggers may take more.
        open_secrets: some mount holds a variable, or triggers may take more.
    """

    args: frozenset[str]
    names: frozenset[str]
    secrets: dict[str, bool]
    open_names: bool = False
    open_secrets: bool = False


def facts(dockerfile: Dockerfile) -> Facts:
    """What a Dockerfile speaks of."""
    instructions = [*dockerfile.args, *(item for stage in dockerfile.stages for item in stage.instructions)]
    args = {name.key for item in instructions if isinstance(item, Arg) for name in item.names}
    names = [name for stage in dockerfile.stages for name in (stage.start.name, stage.start.base)]
    names += [name for item in instructions for name in _sources(item)]
    mounts = [mount for item in instructions if isinstance(item, Run) for mount in item.mounts]
    triggers = any(isinstance(item, Onbuild) for item in instructions)
    return Facts(
        args=frozenset(args),
        names=frozenset(_short(name) for name in names if name),
        secrets=_secrets(mounts),
        open_names=triggers or any("$" in name for name in names),
        open_secrets=triggers or any("$" in mount for mount in mounts),
    )


def _sources(instruction: Instruction) -> Iterator[str]:
    if isinstance(instruction, CopyFiles):
        yield instruction.source
    elif isinstance(instruction, Run):
        yield from instruction.mount_sources


def _short(name: str) -> str:
    try:
        return reference.parse(name.lower()).familiar.removesuffix(":latest")
    except reference.BadReference:
        return name


def _secrets(mounts: list[str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for mount in mounts:
        fields = dict(item.partition("=")[::2] for item in csv_fields(mount))
        if fields.get("type") != _SECRET:
            continue
        target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
        id = fields.get("source") or fields.get("src") or fields.get("id") or posixpath.basename(target)
        required = "required" in fields and fields["required"].lower() not in ("false", "0", "f")
        found[id] = found.get(id, False) or required
    return found

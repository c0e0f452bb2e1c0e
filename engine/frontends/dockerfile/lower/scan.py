"""An SBOM's generator image as one more step of a platform: it reads what was built and writes statements.

The scanner is told by its environment where to look and where to write; what it leaves in its output folder is an
in-toto statement a file. Source: BuildKit's docs/attestations/sbom-protocol.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.errors import DefinitionError
from engine.frontends.contract import ResolvedImage
from engine.frontends.dockerfile.gotext import csv_fields, parse_bool
from engine.frontends.dockerfile.lower.stage import Stage, reachable
from engine.llb import sources
from engine.llb.definition import Definition
from engine.llb.ops import Platform
from engine.llb.state import Label, State, bind, scratch, tmpfs
from engine.registry.reference import parse
from engine.values import frozen

if TYPE_CHECKING:
    from engine.frontends.contract import Bridge, FrontendRequest
    from engine.frontends.dockerfile.lower.scope import Scope

OPTION = "attest:sbom"
"""The frontend's option: `generator=IMAGE` and parameters, separated by commas."""
_GENERATOR = "generator"
_SOURCE = "/run/src/core/sbom"
_EXTRAS = "/run/src/extras"
_OUT = "/run/out"
_SCAN_CONTEXT = "BUILDKIT_SBOM_SCAN_CONTEXT"
_SCAN_STAGE = "BUILDKIT_SBOM_SCAN_STAGE"


@frozen
class Generator:
    """A generator image, resolved, and what it is told beside the usual (`BUILDKIT_SCAN_KEY`)."""

    image: ResolvedImage
    platform: Platform
    parameters: Mapping[str, str]

    @property
    def name(self) -> str:
        """The image by name and digest."""
        return f"{self.image.reference}@{self.image.digest}"


async def find_generator(
    request: FrontendRequest, bridge: Bridge, platform: Platform, mode: str = ""
) -> Generator | None:
    """The generator that a target asks for, None if it asks for none.

    Args:
        request: the target.
        bridge: resolves the image.
        platform: the machine's own.
        mode: how the image is resolved, `pull`, `local` or empty.

    Raises:
        DefinitionError: if its image says no command.
        SourceError: if there is no such image.
    """
    if not (text := request.options.get(OPTION)):
        return None
    parameters = {key: value for key, _, value in (field.partition("=") for field in csv_fields(text))}
    if not (wanted := parameters.pop(_GENERATOR, "")):
        return None
    image = await bridge.resolve_image(str(parse(wanted)), platform, mode)
    if not _command(image):
        raise DefinitionError(
            f"scanner {image.reference} does not have cmd", hint="generator= wants an image whose command scans"
        )
    return Generator(image, platform, parameters)


def scan(generator: Generator, name: str, stage: Stage, scope: Scope) -> Definition:
    """The step that writes the statements about what a stage has become; its output folder is the result.

    `name` is the platform's.
    """
    config = generator.image.config.get("config") or {}
    extras = _extras(stage, scope)
    state = sources.image(generator.name, platform=generator.platform).dir(config.get("WorkingDir") or "/")
    variables = [item.partition("=")[::2] for item in config.get("Env") or ()]
    variables += [("BUILDKIT_SCAN_DESTINATION", f"{_OUT}/"), ("BUILDKIT_SCAN_SOURCE", _SOURCE)]
    if extras:
        variables.append(("BUILDKIT_SCAN_SOURCE_EXTRAS", _EXTRAS))
    variables += [(f"BUILDKIT_SCAN_{key}", value) for key, value in sorted(generator.parameters.items())]
    for key, value in variables:
        state = state.set_env(key, value)
    mounts = [
        tmpfs("/tmp"),
        bind(_SOURCE, stage.state, readonly=True),
        *(bind(f"{_EXTRAS}/sbom-{extra}", found, readonly=True) for extra, found in extras.items()),
        bind(_OUT, scratch()),
    ]
    label = Label(f"[{name}] generating sbom using {generator.name}", ignore_cache=stage.ignore_cache)
    return state.run(_command(generator.image), mounts=mounts, label=label).mount(_OUT).define(generator.platform)


def _command(image: ResolvedImage) -> list[str]:
    config = image.config.get("config") or {}
    return [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]


def _extras(target: Stage, scope: Scope) -> dict[str, State]:
    """What is to be scanned beside the result: the build context, and the stages that say so."""
    found: dict[str, State] = {}
    if _wanted(target, _SCAN_CONTEXT, scope):
        found["context"] = scope.build_context
    for stage in reachable(target):
        if stage is not target and _wanted(stage, _SCAN_STAGE, scope):
            found[stage.title] = stage.state
    return found


def _wanted(stage: Stage, key: str, scope: Scope) -> bool:
    """Whether the ARG holds for a stage: as a truth value, or as a list of stages with this one in it."""
    value = scope.global_args.get(key)
    for arg in stage.args:
        if arg.key == key and arg.value is not None:
            value = arg.value
    if value is None:
        return False
    said = parse_bool(value)
    return stage.title in value.split(",") if said is None else said

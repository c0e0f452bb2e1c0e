"""Builds targets twice, the second time without cache, and finds the first thing in which the images differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.config.target import OutputEntry, Project, Target
from bakery.graph.build import BuildOptions, run_build
from bakery.values import frozen

if TYPE_CHECKING:
    from engine.imagetools.inspect import InspectedImage
    from engine.imagetools.place import Place

_IMAGES = ("image", "registry", "oci", "docker")
_KEPT = ("compression", "compression-level", "force-compression", "oci-mediatypes", "rewrite-timestamp")


@frozen
class Verdict:
    """Whether a target's platform came out the same. `layer` counts from 1; 0 where it is not about one."""

    target: str
    platform: str
    digest: str
    difference: str = ""
    layer: int = 0
    step: str = ""

    @property
    def same(self) -> bool:
        """Whether both builds gave the same image."""
        return not self.difference


def verify_project(project: Project, options: BuildOptions, folder: Path, *, times: bool) -> list[Verdict]:
    """Builds all requested targets into layouts in `folder`, twice, and compares them.

    Without `times`, all times are set to the epoch first.

    Raises:
        BakeryError, TargetError, EngineError: if a target cannot be built.
    """
    import trio

    names = [name for name, target in project.targets.items() if target.requested]
    for number, again in enumerate((False, True)):
        result = run_build(_prepared(project, folder / str(number), times=times, again=again), options, _ignore)
        for target in result.targets.values():
            if target.error:
                raise target.error
    return trio.run(_compare_all, names, folder)


def _ignore(event: object) -> None:
    """Nothing is shown."""


def _prepared(project: Project, folder: Path, *, times: bool, again: bool) -> Project:
    """The project with an output into a layout for each requested target, and without cache when it is built again."""
    targets = {
        name: replace(
            target,
            output=(_output(target, folder / name, times=times),) if target.requested else (),
            attest=(),
            cache_to=(),
            cache_from=() if again else target.cache_from,
            no_cache=True if again else target.no_cache,
        )
        for name, target in project.targets.items()
    }
    return replace(project, targets=targets)


def _output(target: Target, folder: Path, *, times: bool) -> OutputEntry:
    """A layout with the attributes of the target's own image output, as far as they decide its bytes."""
    own = next((entry.attrs for entry in target.output if entry.type in _IMAGES), {})
    attributes = {key: value for key, value in own.items() if key in _KEPT} | {"tar": "false"}
    if not times:
        attributes |= {"rewrite-timestamp": "true", "source-date-epoch": "0"}
    return OutputEntry("oci", dest=str(folder), attrs=attributes)


async def _compare_all(names: Sequence[str], folder: Path) -> list[Verdict]:
    from engine.imagetools.inspect import inspect
    from engine.imagetools.place import LayoutPlace

    verdicts = []
    for name in names:
        here, there = (LayoutPlace(folder / str(number) / name, "") for number in (0, 1))
        first, second = await inspect(here), await inspect(there)
        for one, other in zip(first.images, second.images, strict=True):
            verdicts.append(await _compare(name, (here, one), (there, other)))
    return verdicts


async def _compare(name: str, one: tuple[Place, InspectedImage], other: tuple[Place, InspectedImage]) -> Verdict:
    """The first difference: by layer from the bottom, then of the config, then of what is left, such as compression."""
    from engine import platforms
    from engine.imagetools.diff import config_changes

    platform, digest = platforms.format(one[1].platform), one[1].descriptor.digest
    if digest == other[1].descriptor.digest:
        return Verdict(name, platform, digest)
    verdict = await _first_layer(Verdict(name, platform, digest), one, other)
    if verdict is not None:
        return verdict
    change = next(config_changes(one[1].config, other[1].config), None)
    if change is not None:
        return Verdict(name, platform, digest, f"config {change.key}: {change.before!r} → {change.after!r}")
    return Verdict(name, platform, digest, "the same files in other bytes")


async def _first_layer(
    verdict: Verdict, one: tuple[Place, InspectedImage], other: tuple[Place, InspectedImage]
) -> Verdict | None:
    from engine import oci
    from engine.imagetools.files import Files, add_layer, file_changes

    before, after = oci.diff_ids(one[1].config), oci.diff_ids(other[1].config)
    number = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    if number is None:
        if len(before) == len(after):
            return None
        return replace(verdict, difference=f"{len(before)} layers → {len(after)} layers")
    mine: Files = {}
    theirs: Files = {}
    await add_layer(mine, one[0], one[1].manifest.layers[number])
    await add_layer(theirs, other[0], other[1].manifest.layers[number])
    change = next(file_changes(mine, theirs, times=True), None)
    difference = "the same files in another order"
    if change is not None:
        difference = f"file {change.path}: {change.what}" + (f" ({', '.join(change.how)})" if change.how else "")
    return replace(verdict, difference=difference, layer=number + 1, step=_step(one[1], number))


def _step(image: InspectedImage, number: int) -> str:
    """What made a layer, by the history."""
    entries = [item for item in image.config.get("history") or [] if not item.get("empty_layer")]
    return str(entries[number].get("created_by") or "") if number < len(entries) else ""

"""What changed between two images: config, layers, files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine import oci
from engine.imagetools.files import FileChange, Files, add_layer, file_changes
from engine.imagetools.inspect import InspectedImage
from engine.imagetools.place import Place
from engine.values import frozen


@frozen
class ConfigChange:
    """A part of the config that differs, by its path such as `config.Env.PATH`; None where it is not there."""

    key: str
    before: Any
    after: Any


@frozen
class ImageDiff:
    """What changed. `common` is the number of layers that both begin with."""

    config: tuple[ConfigChange, ...]
    common: int
    removed: tuple[oci.Descriptor, ...]
    added: tuple[oci.Descriptor, ...]
    files: tuple[FileChange, ...]

    @property
    def empty(self) -> bool:
        """Whether the images are equal in everything that is compared."""
        return not (self.config or self.removed or self.added or self.files)


async def diff(one: tuple[Place, InspectedImage], other: tuple[Place, InspectedImage], *, times: bool) -> ImageDiff:
    """Compares two images; layers are read only where they are not the same.

    Raises:
        SourceError, ArchiveError: if a layer cannot be had, or is none.
    """
    before, after = one[1].manifest.layers, other[1].manifest.layers
    common = 0
    same = list(zip(_diff_ids(one[1]), _diff_ids(other[1]), strict=False))
    while common < len(same) and same[common][0] == same[common][1]:
        common += 1
    files: tuple[FileChange, ...] = ()
    if common < max(len(before), len(after)):
        base: Files = {}
        for layer in before[:common]:
            await add_layer(base, one[0], layer)
        theirs = dict(base)
        for layer in before[common:]:
            await add_layer(base, one[0], layer)
        for layer in after[common:]:
            await add_layer(theirs, other[0], layer)
        files = tuple(file_changes(base, theirs, times=times))
    return ImageDiff(
        tuple(config_changes(one[1].config, other[1].config)), common, before[common:], after[common:], files
    )


def _diff_ids(image: InspectedImage) -> tuple[str, ...]:
    return tuple(oci.diff_ids(image.config))


def config_changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[ConfigChange]:
    """What differs between two configs, but for the layers, which are compared on their own."""
    before, after = _flat(_readable(one)), _flat(_readable(other))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield ConfigChange(key, before.get(key), after.get(key))


def _readable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without layers; with the environment by name."""
    found = {key: value for key, value in config.items() if key != "rootfs"}
    settings = found.get("config")
    if isinstance(settings, dict) and isinstance(settings.get("Env"), list):
        pairs = dict(str(item).partition("=")[::2] for item in settings["Env"])
        found["config"] = settings | {"Env": pairs}
    return found


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested objects and of the history, by their path."""
    if isinstance(value, dict):
        items = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, list) and prefix == "history":
        items = [(str(number), inner) for number, inner in enumerate(value)]
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, inner in items:
        found |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return found


def as_json(found: ImageDiff) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "config": [{"key": c.key, "before": c.before, "after": c.after} for c in found.config],
        "layers": {
            "common": found.common,
            "removed": [oci.descriptor_fields(layer) for layer in found.removed],
            "added": [oci.descriptor_fields(layer) for layer in found.added],
        },
        "files": [{"path": f.path, "what": f.what, "how": list(f.how)} for f in found.files],
    }

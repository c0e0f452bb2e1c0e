"""Finishes an image's config: its layers, its history, its times (reference: buildkit.md §2, "Image config").

The frontend gives a history without times, one entry for each instruction; here each layer's entry gets the time at
which the layer was made, and the others those of their neighbours. With SOURCE_DATE_EPOCH nothing new is later than it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import oci, platforms
from engine.digests import Digest
from engine.errors import ExportError
from engine.exporters.gotime import format_time, nanoseconds, normal_time
from engine.frontends.contract import ImageConfig
from engine.values import frozen

History = dict[str, Any]
_HISTORY_KEYS = ("created", "created_by", "author", "comment", "empty_layer")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@frozen
class LayerNote:
    """What the config says of a layer: the digest of its tar, when it was made (seconds), and what made it."""

    diff_id: Digest
    created: float
    description: str


def finish_config(
    config: ImageConfig, base: ImageConfig | None, layers: Sequence[LayerNote], epoch: int | None
) -> ImageConfig:
    """The config with rootfs, complete history and times.

    Raises:
        ExportError: if the frontend's config makes no sense.
    """
    finished = dict(config) if config else default_config()
    for key in ("os", "architecture"):
        if not finished.get(key):
            raise ExportError(f"the image config has no {key}")
    try:
        history = [_entry(item) for item in finished.get("history") or []]
        history = _with_all_layers(history, layers)
        _fill_times(history, layers)
        if epoch is not None:
            _clamp(history, [_entry(item) for item in (base or {}).get("history") or []], epoch)
        finished["created"] = _top_created(finished.get("created"), history, epoch)
    except (ValueError, TypeError, AttributeError) as error:
        raise ExportError(f"the image config makes no sense: {error}") from error
    finished["history"] = history or None
    diff_ids = [layer.diff_id for layer in layers]
    finished["rootfs"] = {"type": "layers", "diff_ids": diff_ids or None}
    return finished


def default_config() -> ImageConfig:
    """The config of an image that came without one."""
    here = platforms.host()
    config: ImageConfig = {"architecture": here.architecture, "os": here.os}
    if here.variant:
        config["variant"] = here.variant
    return config | {"config": {"Env": [f"PATH={_DEFAULT_PATH}"], "WorkingDir": "/"}}


def layers_kept(base: ImageConfig | None, diff_ids: Sequence[Digest]) -> int:
    """How many of an image's layers are its base's: their times are never rewritten."""
    of_base = oci.diff_ids(base) if base else ()
    kept = 0
    while kept < min(len(of_base), len(diff_ids)) and of_base[kept] == diff_ids[kept]:
        kept += 1
    return kept


def _entry(item: History) -> History:
    """A history entry with its keys in Go's order, and what is empty left out."""
    entry = {key: item[key] for key in _HISTORY_KEYS if item.get(key)}
    if "created" in entry:
        entry["created"] = normal_time(entry["created"])
    return entry


def _set_created(entry: History, created: str) -> None:
    rest = {key: value for key, value in entry.items() if key != "created"}
    entry.clear()
    entry.update({"created": created}, **rest)


def _with_all_layers(history: list[History], layers: Sequence[LayerNote]) -> list[History]:
    """As many entries that are not empty as there are layers: missing ones are added, the first ones kept."""
    found = 0
    for entry in history:
        if not entry.get("empty_layer"):
            found += 1
            if found > len(layers):
                entry["empty_layer"] = True
    added = [
        {"created_by": layer.description or "created by bakery", "comment": "buildkit.exporter.image.v0"}
        for layer in layers[found:]
    ]
    return history + added


def _fill_times(history: list[History], layers: Sequence[LayerNote]) -> None:
    of_layers = iter(layers)
    for entry in history:
        if not entry.get("empty_layer"):
            layer = next(of_layers)
            if "created" not in entry:
                _set_created(entry, format_time(layer.created))
    created = _first_new_time(history)
    waiting = False
    for entry in history:
        if "created" not in entry:
            waiting = True
            if created:
                _set_created(entry, created)
        elif waiting:
            created = entry["created"]


def _first_new_time(history: list[History]) -> str | None:
    """The time of the first layer after an entry that has none, else of the last that has one.

    An instruction that makes no layer belongs to the new image, not to the base image's last layer.
    """
    created, waiting = None, False
    for entry in history:
        if "created" not in entry:
            waiting = True
        else:
            created = entry["created"]
            if waiting:
                break
    return created


def _clamp(history: list[History], base: list[History], epoch: int) -> None:
    """Nothing later than the epoch, but for the entries that are still the base image's."""
    own = False
    for number, entry in enumerate(history):
        own = own or number >= len(base) or entry != base[number]
        if own and ("created" not in entry or nanoseconds(entry["created"]) > epoch * 1_000_000_000):
            _set_created(entry, format_time(epoch))


def _top_created(created: str | None, history: list[History], epoch: int | None) -> str | None:
    if created is None:
        return next((entry["created"] for entry in reversed(history) if "created" in entry), None)
    if epoch is not None and nanoseconds(created) > epoch * 1_000_000_000:
        return format_time(epoch)
    return created

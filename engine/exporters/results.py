"""The last result of each target, kept so that it can be sent to further outputs without solving again.

What is kept are names of layers, not the layers: garbage collection may take those, and then the target is built again.
Statements about how an image was made (attestations) belong to the build that made it and are not kept.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from engine import oci
from engine.errors import StateError
from engine.exporters.contract import PlatformImage, TargetImage
from engine.llb.ops import Platform
from engine.results import LayerID, Snapshot
from engine.state import State


def keep_result(state: State, project: str, target: TargetImage, built: float) -> None:
    """Writes down what a target came to in the build that began at `built` (seconds). Raises StateError."""
    image = zlib.compress(json.dumps(_fields(target), separators=(",", ":"), default=str).encode(), 1)
    state.write(
        "INSERT OR REPLACE INTO results (project, target, image, built) VALUES (?, ?, ?, ?)",
        project,
        target.name,
        image,
        built,
    )


def known_results(state: State, project: str) -> dict[str, float]:
    """The targets of a project that have a result, and when their build began."""
    return dict(state.query("SELECT target, built FROM results WHERE project = ? ORDER BY target", project))


def load_result(state: State, project: str, name: str) -> TargetImage:
    """The last result of a target. Its layers stay as long as this process's lease.

    Raises:
        StateError: if there is none, or its layers are gone.
    """
    rows = state.query("SELECT image FROM results WHERE project = ? AND target = ?", project, name)
    if not rows:
        raise StateError(f"the target {name} has no result in {project}", hint=f"run `bakery build {name}` first")
    target = _target(name, json.loads(zlib.decompress(rows[0][0])))
    layers = {layer for platform in target.platforms for layer in platform.snapshot.layers}
    with state.lease.taking():
        state.lease.hold(layers)
        known = {row[0] for row in state.query("SELECT id FROM layers")}
    if not layers <= known:
        raise StateError(f"the result of {name} is no longer here", hint=f"run `bakery build {name}` again")
    return target


def _fields(target: TargetImage) -> dict[str, Any]:
    return {
        "platforms": [
            {
                "id": platform.id,
                "platform": oci.platform_fields(platform.platform),
                "layers": platform.snapshot.layers,
                "config": platform.config,
                "base_config": platform.base_config,
            }
            for platform in target.platforms
        ],
        "multi": target.multi,
        "epoch": target.epoch,
    }


def _target(name: str, fields: dict[str, Any]) -> TargetImage:
    return TargetImage(
        name,
        tuple(
            PlatformImage(
                item["id"],
                _platform(item["platform"]),
                Snapshot(tuple(LayerID(layer) for layer in item["layers"])),
                item["config"],
                item["base_config"],
            )
            for item in fields["platforms"]
        ),
        fields["multi"],
        fields["epoch"],
    )


def _platform(fields: dict[str, Any]) -> Platform:
    return Platform(
        architecture=fields["architecture"],
        os=fields["os"],
        variant=fields.get("variant", ""),
        os_version=fields.get("os.version", ""),
        os_features=tuple(fields.get("os.features", ())),
    )

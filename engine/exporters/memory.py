"""Remembers what was written where, so that an output that is still there is not written again.

An output's identity is everything that decides its bytes: the layers and configs of the target, and the output's
attributes. Its evidence (see `evidence`) is looked at before it counts, so whoever deletes or changes a file, or moves
a tag, gets the output anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine import oci
from engine.digests import Digest, sha256
from engine.errors import EngineError
from engine.exporters.contract import BuildFacts, Evidence, Export, ExportResult, Kind, TargetImage
from engine.exporters.evidence import is_on_disk
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext
    from engine.state import State

_FORMAT = 1
"""Part of every identity: raised when an exporter would write other bytes for the same target than before."""
MAX_EVIDENCE = 50_000
"""Outputs of more files than this are not remembered: looking at each would take as long as copying it."""


@frozen
class Remembered:
    """An output that needs no writing."""

    title: str
    result: ExportResult


class OutputMemory:
    """The outputs that were written from one state folder."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def recall(self, target: TargetImage, export: Export, context: ExportContext) -> Remembered | None:
        """What was written for this very target and output, if it is all still there."""
        rows = self._state.query(
            "SELECT title, result FROM outputs WHERE place = ? AND identity = ?",
            _place(target, export),
            identity(target, export),
        )
        if not rows:
            return None
        try:
            fields = json.loads(rows[0][1])
            evidence = tuple(Evidence(Kind(kind), place, stamp) for kind, place, stamp in fields["evidence"])
            result = ExportResult(fields["metadata"], fields["size"], evidence)
        except (ValueError, KeyError, TypeError):
            return None
        return Remembered(rows[0][0], result) if await _all_there(evidence, context) else None

    def remember(self, target: TargetImage, export: Export, title: str, result: ExportResult) -> None:
        """Writes down what was written. An output that leaves no evidence, such as one to stdout, is forgotten."""
        place = _place(target, export)
        if not 0 < len(result.evidence) <= MAX_EVIDENCE:
            self._state.write("DELETE FROM outputs WHERE place = ?", place)
            return
        fields = {
            "metadata": dict(result.metadata),
            "size": result.size,
            "evidence": [(item.kind.value, item.place, item.stamp) for item in result.evidence],
        }
        self._state.write(
            "INSERT OR REPLACE INTO outputs (place, identity, title, result, written) VALUES (?, ?, ?, ?, ?)",
            place,
            identity(target, export),
            title,
            json.dumps(fields, separators=(",", ":")),
            time.time(),
        )


def _place(target: TargetImage, export: Export) -> str:
    """Where an output goes; two targets may well write into the same folder."""
    attributes = export.attributes
    where = attributes.get("dest", "") or attributes.get("name", "")
    return f"{target.name} {export.type} {where}"


def identity(target: TargetImage, export: Export) -> Digest:
    """Everything that decides an output's bytes, as one digest."""
    platforms = [
        (
            item.id,
            oci.platform_fields(item.platform),
            item.snapshot.layers,
            item.config,
            item.base_config,
            _told(item.facts) if target.attests else None,
            item.scan.layers if item.scan else None,
        )
        for item in target.platforms
    ]
    attests = [(attest.type, dict(attest.attributes)) for attest in target.attests]
    fields = (_FORMAT, export.type, dict(export.attributes), platforms, target.multi, target.epoch, attests)
    return sha256(json.dumps(fields, sort_keys=True, default=str).encode())


def _told(facts: BuildFacts | None) -> object:
    """What provenance tells, but for when it was: the same image from the same sources needs no new statement."""
    if facts is None:
        return None
    options = dict(facts.request.options) if facts.request else {}
    return options, sorted(facts.pins.items()), facts.definition.root


async def _all_there(evidence: Sequence[Evidence], context: ExportContext) -> bool:
    """Whether all is as it was; what costs least is looked at first."""
    remote = [item for item in evidence if item.kind in _REMOTE]
    if not all(_is_here(item, context) for item in evidence if item.kind not in _REMOTE):
        return False
    for item in remote:
        if not await _is_there(item, context):
            return False
    return True


_REMOTE = frozenset((Kind.PUSHED, Kind.PUSHED_INSECURE, Kind.LOADED))


def _is_here(item: Evidence, context: ExportContext) -> bool:
    if item.kind is Kind.BLOB:
        return context.blobs.has(Digest(item.place))
    if item.kind is Kind.LAYOUT:
        return _in_layout(item)
    return is_on_disk(item)


def _in_layout(item: Evidence) -> bool:
    """Whether a layout's index still has an entry; it is read instead of compared, for others may add to it."""
    folder, _, name = item.place.rpartition("#")
    try:
        index = oci.parse_document(Path(folder, "index.json").read_bytes(), oci.OCI_INDEX)
    except (OSError, EngineError):
        return False
    assert isinstance(index, oci.Index)
    return any(
        entry.digest == item.stamp and entry.annotations.get(oci.CONTAINERD_NAME, "") == name
        for entry in index.manifests
    )


async def _is_there(item: Evidence, context: ExportContext) -> bool:
    try:
        if item.kind is Kind.LOADED:
            from engine.exporters.docker_context import engine_address
            from engine.exporters.docker_engine import loaded_image

            asked, _, place = item.place.partition(" ")
            url, _, image = place.partition(" ")
            address = engine_address(asked)
            return address.url == url and await loaded_image(address, image) in item.stamp.split()
        from engine.exporters.push import registries_for
        from engine.registry.reference import parse

        name = parse(item.place)
        async with registries_for(context, [name], insecure=item.kind is Kind.PUSHED_INSECURE) as registries:
            return await registries.pushed(name) == item.stamp
    except EngineError:
        return False  # the export itself has the better words

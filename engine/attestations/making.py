"""Makes the statements that a target asks for about one platform of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine import oci
from engine.attestations.statement import Statement
from engine.errors import ExportError
from engine.exporters.contract import Attest, PlatformImage, TargetImage

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext
    from engine.results import Snapshot


async def make_statements(
    target: TargetImage,
    image: PlatformImage,
    layers: Sequence[oci.Descriptor],
    context: ExportContext,
    *,
    inline: bool,
) -> list[Statement]:
    """The statements about an image with these layers, the SBOM first. `inline`: those for images only as well.

    Of an image without files there is nothing to tell, as with BuildKit.

    Raises:
        ExportError: for attributes that make no sense.
        SourceError, StateError: if the image's files cannot be read.
    """
    found: list[Statement] = []
    if not image.snapshot.layers:
        return found
    for attest in sorted(target.attests, key=lambda item: item.type != "sbom"):
        if attest.type == "provenance":
            found += _provenance(attest, image, layers, inline=inline)
        elif attest.type == "sbom":
            found += await _sbom(attest, target, image, context)
        else:
            raise ExportError(f'unknown attestation "{attest.type}"', hint="known are provenance and sbom")
    return found


def _provenance(
    attest: Attest, image: PlatformImage, layers: Sequence[oci.Descriptor], *, inline: bool
) -> list[Statement]:
    from engine.attestations.provenance import ProvenanceOptions, predicate

    options = ProvenanceOptions.of(attest)
    if image.facts is None or (attest.inline_only and not inline):
        return []
    filename = attest.attributes.get("filename") or "provenance.json"
    return [Statement(options.predicate_type, predicate(options, image.facts, layers), filename)]


async def _sbom(attest: Attest, target: TargetImage, image: PlatformImage, context: ExportContext) -> list[Statement]:
    if image.scan is not None:
        return await _scanned(image.scan, context)
    if attest.attributes.get("generator"):
        raise ExportError(
            f"no generator has looked at {target.name}",
            hint="set generator= in the targets that are combined, or leave it out for the built-in scanner",
        )
    return [await _built_in(target, image, context)]


async def _scanned(scan: Snapshot, context: ExportContext) -> list[Statement]:
    import trio

    from engine.attestations.sbom.bundle import read_bundle

    await context.snapshots.ensure(scan, context.progress)
    return await trio.to_thread.run_sync(read_bundle, context.snapshots.tree(scan))


async def _built_in(target: TargetImage, image: PlatformImage, context: ExportContext) -> Statement:
    import trio

    from engine.attestations.sbom.document import PREDICATE_TYPE, document
    from engine.attestations.sbom.scan import scan

    await context.snapshots.ensure(image.snapshot, context.progress)
    tree = context.snapshots.tree(image.snapshot)
    context.progress("scanning for packages", 0, 0, False)
    packages = await trio.to_thread.run_sync(scan, tree)
    context.progress("scanning for packages", len(packages), len(packages), True)
    created = target.epoch if target.epoch is not None else (image.facts.finished if image.facts else 0.0)
    return Statement(PREDICATE_TYPE, document(target.name, image.id, packages, created), "sbom.spdx.json")

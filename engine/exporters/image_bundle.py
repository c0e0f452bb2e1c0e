"""A target as an image: its layers, configs, manifests and, for several platforms, their index."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine import oci, platforms
from engine.digests import Digest, sha256
from engine.errors import ExportError
from engine.exporters.attributes import ImageOptions, LayerForm
from engine.exporters.contract import PlatformImage, TargetImage
from engine.exporters.image_config import LayerNote, finish_config, layers_kept
from engine.exporters.layers import ExportedLayer, LayerExporter, first_error, with_types
from engine.values import frozen

if TYPE_CHECKING:
    from engine.attestations.statement import AttestationManifest
    from engine.exporters.context import ExportContext

_REWRITTEN = "buildkit/rewritten-timestamp"


@frozen
class OneImage:
    """One platform's image: its manifest, with the descriptors of the manifest and of the config."""

    manifest: oci.Manifest
    descriptor: oci.Descriptor
    config: oci.Descriptor
    layers: tuple[ExportedLayer, ...]


@frozen
class ImageBundle:
    """Everything that an image consists of. `root` names the index, or the manifest of the only image.

    `documents` are manifests, configs and the index by digest, each after what it refers to.
    """

    root: oci.Descriptor
    images: tuple[OneImage, ...]
    documents: Mapping[Digest, bytes]
    attestations: tuple[AttestationManifest, ...] = ()

    @property
    def layers(self) -> list[ExportedLayer]:
        """All layers of all images, each blob once."""
        return list({layer.blob.digest: layer for image in self.images for layer in image.layers}.values())

    @property
    def small_blobs(self) -> list[oci.Descriptor]:
        """The blobs among the documents, such as configs, each once."""
        found = [image.config for image in self.images]
        found += [blob for attestation in self.attestations for blob in attestation.blobs]
        return list({blob.digest: blob for blob in found}.values())

    @property
    def manifests(self) -> list[oci.Descriptor]:
        """The manifests of all images and attestations, in the order of the index."""
        return [*(image.descriptor for image in self.images), *(item.descriptor for item in self.attestations)]

    @property
    def size(self) -> int:
        """Bytes of all blobs and manifests, as they are packed."""
        return sum(layer.blob.size for layer in self.layers) + sum(len(data) for data in self.documents.values())

    def metadata(self) -> dict[str, str]:
        """BuildKit's response about the image."""
        found = {"containerimage.digest": str(self.root.digest)}
        if self.root.is_manifest:
            found["containerimage.config.digest"] = str(self.images[0].config.digest)
        fields = json.dumps(oci.descriptor_fields(self.root), separators=(",", ":"), ensure_ascii=False)
        return found | {"containerimage.descriptor": base64.b64encode(fields.encode()).decode()}


async def make_bundle(
    target: TargetImage, options: ImageOptions, context: ExportContext, *, single: bool = False
) -> ImageBundle:
    """Makes all parts of a target's image; manifests and configs are in the blob store then, too.

    `single`: the result must be one image, and no index is made of it.

    Raises:
        ExportError: if the options do not fit the target.
        SourceError, StateError: if a layer cannot be had or made.
    """
    import trio

    target = _with_fitting_attests(target, options, single)
    _check(target, options, single)
    images: dict[int, OneImage] = {}
    documents: dict[Digest, bytes] = {}

    async def one(position: int) -> None:
        images[position] = await _make_image(target, target.platforms[position], options, context, documents)

    try:
        async with trio.open_nursery() as nursery:
            for position in range(len(target.platforms)):
                nursery.start_soon(one, position)
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    done = tuple(images[position] for position in range(len(target.platforms)))
    attestations = await _attest(target, done, options, context) if target.attests else ()
    for attestation in attestations:
        documents |= attestation.documents
    if len(done) == 1 and (single or not target.multi) and not attestations:
        root = done[0].descriptor
    else:
        entries = [*(image.descriptor for image in done), *(item.descriptor for item in attestations)]
        root = _make_index(entries, options, documents)
    for data in documents.values():
        context.blobs.put(data)
    return ImageBundle(root, done, documents, attestations)


def _with_fitting_attests(target: TargetImage, options: ImageOptions, single: bool) -> TargetImage:
    """The target without statements that are for images only, where the form of the output has no place for them.

    An archive or layout has it where it is an index anyhow, as with BuildKit.
    """
    others = tuple(attest for attest in target.attests if not attest.inline_only)
    index = target.multi or len(target.platforms) > 1 or bool(others)
    if options.oci_types and not single and (options.inline or index):
        return target
    return replace(target, attests=others)


async def _attest(
    target: TargetImage, images: Sequence[OneImage], options: ImageOptions, context: ExportContext
) -> tuple[AttestationManifest, ...]:
    """The statements about each image, where there are any. They follow the images in the index."""
    from engine.attestations.making import make_statements
    from engine.attestations.statement import attestation_manifest, image_subjects

    found = []
    for platform, image in zip(target.platforms, images, strict=True):
        statements = await make_statements(target, platform, image.manifest.layers, context, inline=True)
        if statements:
            subjects = image_subjects(options.names, platform.platform, image.descriptor.digest)
            found.append(attestation_manifest(image.descriptor, statements, subjects, artifact=options.artifact))
    return tuple(found)


def _check(target: TargetImage, options: ImageOptions, single: bool) -> None:
    if not target.platforms:
        raise ExportError(f"the target {target.name} has no result to export")
    if single and len(target.platforms) > 1:
        raise ExportError(
            "a docker archive holds one platform only",
            hint="use type=oci, or choose one platform with --set *.platform=",
        )
    if single and target.attests:
        raise ExportError(
            "a docker archive cannot hold attestations", hint="use type=oci, or leave out attest for this output"
        )
    if target.attests and not options.oci_types:
        raise ExportError('attestations cannot be exported with "oci-mediatypes=false"')
    index = not single and (target.multi or len(target.platforms) > 1 or bool(target.attests))
    known = {name for item in target.platforms for name in (item.id, platforms.format(item.platform))}
    for annotation in options.annotations:
        if annotation.level.startswith("index") and not index:
            raise ExportError(f"annotation of an index: {target.name} has one platform and so no index")
        if annotation.platform and annotation.platform not in known:
            raise ExportError(f"annotation for the platform {annotation.platform}, which {target.name} does not have")


async def _make_image(
    target: TargetImage,
    image: PlatformImage,
    options: ImageOptions,
    context: ExportContext,
    documents: dict[Digest, bytes],
) -> OneImage:
    epoch = options.epoch.over(target.epoch)
    rewrite = epoch if options.rewrite_timestamp else None
    layers = await LayerExporter(context, options.form, rewrite).export(image.snapshot)
    if rewrite is not None:
        layers = await _keep_base(image, layers, options.form, context)
    notes = [LayerNote(layer.diff_id, layer.created, layer.description) for layer in layers]
    config = oci.config_bytes(finish_config(image.config, image.base_config, notes, epoch))
    annotations = options.annotations_at("manifest", image.id)
    manifest = oci.Manifest(
        config=oci.describe(config, oci.OCI_CONFIG if options.oci_types else oci.DOCKER_CONFIG),
        layers=tuple(_layer_descriptor(layer, options) for layer in layers),
        media_type=oci.OCI_MANIFEST if options.oci_types else oci.DOCKER_MANIFEST,
        annotations=annotations,
    )
    data = oci.document_bytes(manifest)
    documents[sha256(config)] = config
    documents[sha256(data)] = data
    descriptor = replace(
        oci.describe(data, manifest.media_type, image.platform),
        annotations=options.annotations_at("manifest-descriptor", image.id),
    )
    return OneImage(manifest, descriptor, manifest.config, tuple(layers))


async def _keep_base(
    image: PlatformImage, layers: list[ExportedLayer], form: LayerForm, context: ExportContext
) -> list[ExportedLayer]:
    """The base image's own layers keep their times, even where it was built here and so they could be rewritten."""
    if not image.base_config or all(layer.rewritten is None for layer in layers):
        return layers
    of_base = len(oci.diff_ids(image.base_config))
    plain = await LayerExporter(context, form).export(replace(image.snapshot, layers=image.snapshot.layers[:of_base]))
    kept = layers_kept(image.base_config, [layer.diff_id for layer in plain])
    return plain[:kept] + layers[kept:]


def _layer_descriptor(layer: ExportedLayer, options: ImageOptions) -> oci.Descriptor:
    blob = with_types(layer.blob, oci_types=options.oci_types)
    if layer.rewritten is None or not options.oci_types:
        return blob
    return replace(blob, annotations={**blob.annotations, _REWRITTEN: str(layer.rewritten)})


def _make_index(
    entries: Sequence[oci.Descriptor], options: ImageOptions, documents: dict[Digest, bytes]
) -> oci.Descriptor:
    index = oci.Index(
        manifests=tuple(entries),
        media_type=oci.OCI_INDEX if options.oci_types else oci.DOCKER_INDEX,
        annotations=options.annotations_at("index"),
    )
    data = oci.document_bytes(index)
    documents[sha256(data)] = data
    return replace(oci.describe(data, index.media_type), annotations=options.annotations_at("index-descriptor"))

"""Statements as blobs, and the manifest that holds those about one image, as BuildKit lays them out.

Formats: in-toto.io/Statement/v1; BuildKit's docs/attestations/attestation-storage.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine import oci
from engine.attestations.purl import image_purl
from engine.digests import Digest
from engine.errors import ExportError
from engine.llb.ops import Platform

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ARTIFACT_TYPE = "application/vnd.docker.attestation.manifest.v1+json"
PREDICATE_TYPE = "in-toto.io/predicate-type"
REFERENCE_TYPE = "vnd.docker.reference.type"
REFERENCE_DIGEST = "vnd.docker.reference.digest"
MAX_STATEMENT = 40 << 20
"""Bytes of one statement, as BuildKit bounds it."""

_NOWHERE = Platform("unknown", "unknown")

Subject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """A predicate and its type; what it is about is only known once the image is."""

    predicate_type: str
    predicate: Mapping[str, Any]
    filename: str
    """What it is called beside a result that is made of files."""
    subjects: Sequence[Subject] = ()
    """What it says itself that it is about."""

    def encoded(self, subjects: Sequence[Subject], indent: int | None = None) -> bytes:
        """Its bytes; `subjects` are what it is about unless it says that itself. Raises ExportError if too many."""
        fields = {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": self.predicate_type,
            "subject": list(self.subjects or subjects),
            "predicate": self.predicate,
        }
        data = oci.go_json(fields, indent)
        if len(data) > MAX_STATEMENT:
            raise ExportError(f"{self.filename} has {len(data)} bytes, more than the {MAX_STATEMENT} allowed")
        return data


@dataclass(frozen=True, slots=True)
class AttestationManifest:
    """The manifest of the statements about one image. `documents` are all its blobs by digest, itself last."""

    descriptor: oci.Descriptor
    blobs: tuple[oci.Descriptor, ...]
    documents: Mapping[Digest, bytes]


def image_subjects(names: Iterable[str], platform: Platform, image: Digest) -> list[Subject]:
    """What statements about an image are about: each of its names, with the digest of its manifest."""
    algorithm, _, value = image.partition(":")
    return [{"name": image_purl(name, platform), "digest": {algorithm: value}} for name in names]


def attestation_manifest(
    image: oci.Descriptor, statements: Sequence[Statement], subjects: Sequence[Subject], *, artifact: bool
) -> AttestationManifest:
    """The statements about an image as a manifest: an OCI artifact, or in the older form like an image's."""
    encoded = [(statement, statement.encoded(subjects)) for statement in statements]
    layers = tuple(
        replace(oci.describe(data, PAYLOAD_TYPE), annotations={PREDICATE_TYPE: statement.predicate_type})
        for statement, data in encoded
    )
    config = b"{}" if artifact else _config(layers)
    config_type = oci.OCI_EMPTY if artifact else oci.OCI_CONFIG
    described = oci.describe(config, config_type)
    manifest = oci.Manifest(
        config=replace(described, data=config) if artifact else described,
        layers=layers,
        artifact_type=ARTIFACT_TYPE if artifact else "",
        subject=oci.Descriptor(image.media_type, image.digest, image.size) if artifact else None,
    )
    data = oci.document_bytes(manifest)
    annotations = {REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: image.digest}
    descriptor = replace(oci.describe(data, oci.OCI_MANIFEST, _NOWHERE), annotations=annotations)
    documents = {layer.digest: text for layer, (_, text) in zip(layers, encoded, strict=True)}
    documents |= {described.digest: config, descriptor.digest: data}
    return AttestationManifest(descriptor, (*layers, described), documents)


def _config(layers: Sequence[oci.Descriptor]) -> bytes:
    return oci.go_json(
        {
            "architecture": _NOWHERE.architecture,
            "os": _NOWHERE.os,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )

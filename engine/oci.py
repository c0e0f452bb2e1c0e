"""Images as registries and layouts hold them: descriptors, manifests, indexes and configs, read with suspicion.

Formats: OCI image-spec 1.1 and Docker's "image manifest v2, schema 2". What is written has BuildKit's form (manifests
and indexes indented by two spaces, configs with sorted top-level keys), so that equal images have equal digests.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from engine.digests import Digest, parse_digest, sha256
from engine.errors import SourceError
from engine.llb.ops import Platform
from engine.values import frozen

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
CONFIG_TYPES = (OCI_CONFIG, DOCKER_CONFIG)
"""What makes a manifest that of an image, whatever else it says it is."""
LAYER_TYPES = frozenset(
    (
        OCI_LAYER,
        OCI_LAYER_GZIP,
        OCI_LAYER_ZSTD,
        DOCKER_LAYER,
        DOCKER_LAYER_GZIP,
        DOCKER_LAYER_ZSTD,
        DOCKER_FOREIGN_LAYER,
        OCI_LAYER.replace(".layer.", ".layer.nondistributable."),
        OCI_LAYER_GZIP.replace(".layer.", ".layer.nondistributable."),
        OCI_LAYER_ZSTD.replace(".layer.", ".layer.nondistributable."),
    )
)

REF_NAME = "org.opencontainers.image.ref.name"
CREATED = "org.opencontainers.image.created"
CONTAINERD_NAME = "io.containerd.image.name"

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest or index that are read at most, as the distribution specification asks for."""
MAX_CONFIG = 16 << 20
MAX_LAYERS = 1000
MAX_CACHE_LAYERS = 20_000
"""Layers of a manifest that describes a build cache: it holds those of many images."""
MAX_DEPTH = 8
"""How deep indexes may be nested in each other."""
MAX_DOCUMENTS = 4096
"""Manifests and indexes below one name that are read at most: nested indexes can name more than there are bytes."""

ImageConfig = dict[str, Any]


class MalformedImage(SourceError):
    """A manifest, index or config that is not what it should be."""


@frozen
class Descriptor:
    """Names a blob by digest, size (bytes) and media type. `data` is the blob itself where it was embedded."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    data: bytes | None = None
    urls: tuple[str, ...] = ()

    @property
    def is_index(self) -> bool:
        """Whether it names a list of manifests."""
        return self.media_type in INDEX_TYPES

    @property
    def is_manifest(self) -> bool:
        """Whether it names the manifest of one image."""
        return self.media_type in MANIFEST_TYPES

    @property
    def is_attestation(self) -> bool:
        """Whether it names statements about another image of the index, as BuildKit adds them."""
        return "vnd.docker.reference.type" in self.annotations


@frozen
class Manifest:
    """One image: its config and its layers, the lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI_MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: Descriptor | None = None


@frozen
class Index:
    """Several manifests, usually the same image for several platforms."""

    manifests: tuple[Descriptor, ...]
    media_type: str = OCI_INDEX
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: Descriptor | None = None


# ---------------------------------------------------------------- reading


def parse_document(data: bytes, media_type: str = "", *, max_layers: int = MAX_LAYERS) -> Manifest | Index:
    """A manifest or index from its bytes, as `media_type` says, or if that is empty or generic, as the document says.

    Raises:
        MalformedImage: if it is neither, too big, or contradicts itself.
    """
    if len(data) > MAX_MANIFEST:
        raise MalformedImage(f"a manifest of {len(data)} bytes is more than the {MAX_MANIFEST} allowed")
    document = _object(_load(data, "manifest"), "manifest")
    if document.get("schemaVersion") != 2:
        raise MalformedImage(
            f"a manifest has schemaVersion {document.get('schemaVersion')!r}; only version 2 is supported",
            hint="push the image again with a current tool",
        )
    kind = _kind(document, media_type)
    if kind in INDEX_TYPES:
        return _index(document, kind)
    return _manifest(document, kind, max_layers)


def _kind(document: Mapping[str, Any], media_type: str) -> str:
    """The media type of a document. One that reads as both a manifest and an index is refused (CVE-2021-41190)."""
    if "manifests" in document and ("config" in document or "layers" in document):
        raise MalformedImage("a manifest is both an image and an index")
    said = document.get("mediaType", "")
    if not isinstance(said, str):
        raise MalformedImage("the media type of a manifest is not a text")
    given = media_type.partition(";")[0].strip()
    known = (*MANIFEST_TYPES, *INDEX_TYPES)
    if said and given in known and said != given:
        raise MalformedImage(f"a manifest says it is {said}, but was sent as {given}")
    kind = given if given in known else said
    if not kind:
        kind = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    if kind not in known:
        raise MalformedImage(f"unknown kind of manifest: {kind}")
    if (kind in INDEX_TYPES) != ("manifests" in document):
        raise MalformedImage(f"a manifest of type {kind} does not have the fields of one")
    return kind


def _manifest(document: Mapping[str, Any], kind: str, max_layers: int) -> Manifest:
    layers = _list(document.get("layers") or [], "layers")
    if len(layers) > max_layers:
        raise MalformedImage(f"a manifest has {len(layers)} layers, more than the {max_layers} allowed")
    subject = document.get("subject")
    return Manifest(
        config=parse_descriptor(document.get("config")),
        layers=tuple(parse_descriptor(layer) for layer in layers),
        media_type=kind,
        annotations=_texts(document.get("annotations"), "annotations"),
        artifact_type=_text(document.get("artifactType", ""), "artifactType"),
        subject=None if subject is None else parse_descriptor(subject),
    )


def _index(document: Mapping[str, Any], kind: str) -> Index:
    subject = document.get("subject")
    return Index(
        manifests=tuple(parse_descriptor(item) for item in _list(document.get("manifests") or [], "manifests")),
        media_type=kind,
        annotations=_texts(document.get("annotations"), "annotations"),
        artifact_type=_text(document.get("artifactType", ""), "artifactType"),
        subject=None if subject is None else parse_descriptor(subject),
    )


def parse_descriptor(value: Any) -> Descriptor:
    """A descriptor from parsed JSON.

    Raises:
        MalformedImage: if a field is missing or not what it should be.
    """
    item = _object(value, "descriptor")
    size = item.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise MalformedImage(f"a descriptor has no proper size: {size!r}")
    try:
        digest = parse_digest(_text(item.get("digest", ""), "digest"))
        data = base64.b64decode(item["data"], validate=True) if item.get("data") else None
    except (ValueError, TypeError, binascii.Error) as error:
        raise MalformedImage(f"a descriptor is malformed: {error}") from error
    if data is not None and (len(data) != size or sha256(data) != digest):
        raise MalformedImage(f"the data embedded in the descriptor of {digest} is not what it names")
    platform = item.get("platform")
    return Descriptor(
        media_type=_text(item.get("mediaType", ""), "mediaType"),
        digest=digest,
        size=size,
        platform=None if platform is None else _platform(_object(platform, "platform")),
        annotations=_texts(item.get("annotations"), "annotations"),
        artifact_type=_text(item.get("artifactType", ""), "artifactType"),
        data=data,
        urls=tuple(_text(url, "urls") for url in _list(item.get("urls") or [], "urls")),
    )


def parse_config(data: bytes) -> ImageConfig:
    """An image config from its bytes: an object whose `rootfs.diff_ids`, where there, are digests.

    Raises:
        MalformedImage: if it is not one.
    """
    if len(data) > MAX_CONFIG:
        raise MalformedImage(f"an image config of {len(data)} bytes is more than the {MAX_CONFIG} allowed")
    config = _object(_load(data, "image config"), "image config")
    for key, kinds in {"config": dict, "history": list, "rootfs": dict, "architecture": str, "os": str}.items():
        if config.get(key) is not None and not isinstance(config[key], kinds):
            raise MalformedImage(f"the image config's {key!r} is not of its type")
    diff_ids(config)
    return config


def diff_ids(config: ImageConfig) -> tuple[Digest, ...]:
    """The digests of the layers' tars, the lowest first.

    Raises:
        MalformedImage: if one is not a digest.
    """
    found = _list((config.get("rootfs") or {}).get("diff_ids") or [], "diff_ids")
    try:
        return tuple(parse_digest(item if isinstance(item, str) else repr(item)) for item in found)
    except ValueError as error:
        raise MalformedImage(f"the image config is malformed: {error}") from error


def config_platform(config: ImageConfig) -> Platform:
    """The platform that an image config says it is for."""
    features = config.get("os.features") or []
    return Platform(
        architecture=str(config.get("architecture") or ""),
        os=str(config.get("os") or ""),
        variant=str(config.get("variant") or ""),
        os_version=str(config.get("os.version") or ""),
        os_features=tuple(str(item) for item in features) if isinstance(features, list) else (),
    )


def chain_ids(layers: Sequence[Digest]) -> tuple[Digest, ...]:
    """For each layer, by diff ID and the lowest first, the name of it and all below (image-spec, "Layer ChainID")."""
    chain: list[Digest] = []
    for layer in layers:
        chain.append(sha256(f"{chain[-1]} {layer}".encode()) if chain else layer)
    return tuple(chain)


def _platform(item: Mapping[str, Any]) -> Platform:
    return Platform(
        architecture=_text(item.get("architecture", ""), "architecture"),
        os=_text(item.get("os", ""), "os"),
        variant=_text(item.get("variant") or "", "variant"),
        os_version=_text(item.get("os.version") or "", "os.version"),
        os_features=tuple(_text(f, "os.features") for f in _list(item.get("os.features") or [], "os.features")),
    )


def _load(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedImage(f"the {what} is not JSON: {error}") from error


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedImage(f"the {what} is not a JSON object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedImage(f"{what} is not a list")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise MalformedImage(f"{what} is not a text")
    return value


def _texts(value: Any, what: str) -> dict[str, str]:
    return {key: _text(item, what) for key, item in _object(value or {}, what).items()}


# ---------------------------------------------------------------- writing


def document_bytes(document: Manifest | Index) -> bytes:
    """A manifest or index as BuildKit writes it: fields in the specification's order, indented by two spaces."""
    fields: dict[str, Any] = {"schemaVersion": 2, "mediaType": document.media_type}
    if document.artifact_type:
        fields["artifactType"] = document.artifact_type
    if isinstance(document, Manifest):
        fields["config"] = descriptor_fields(document.config)
        fields["layers"] = [descriptor_fields(layer) for layer in document.layers] or None  # Go's empty list
    else:
        fields["manifests"] = [descriptor_fields(item) for item in document.manifests]
    if document.subject:
        fields["subject"] = descriptor_fields(document.subject)
    if document.annotations:
        fields["annotations"] = dict(sorted(document.annotations.items()))
    return go_json(fields, indent=2)


def config_bytes(config: ImageConfig) -> bytes:
    """An image config as BuildKit writes it: compact, the top-level keys sorted, the others as they come."""
    return go_json(dict(sorted(config.items())))


def descriptor_fields(item: Descriptor) -> dict[str, Any]:
    """A descriptor as JSON fields, in the order of Go's struct."""
    fields: dict[str, Any] = {"mediaType": item.media_type, "digest": item.digest, "size": item.size}
    if item.urls:
        fields["urls"] = list(item.urls)
    if item.annotations:
        fields["annotations"] = dict(sorted(item.annotations.items()))
    if item.data is not None:
        fields["data"] = base64.b64encode(item.data).decode()
    if item.platform:
        fields["platform"] = platform_fields(item.platform)
    if item.artifact_type:
        fields["artifactType"] = item.artifact_type
    return fields


def platform_fields(platform: Platform) -> dict[str, Any]:
    """A platform as JSON fields, in the order of Go's struct."""
    fields: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    optional = {
        "os.version": platform.os_version,
        "os.features": list(platform.os_features),
        "variant": platform.variant,
    }
    return fields | {key: value for key, value in optional.items() if value}


_GO_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def go_json(value: Any, indent: int | None = None) -> bytes:
    """JSON as Go's encoding/json writes it: `<`, `>`, `&` and the Unicode line separators escaped, the rest raw."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return text.translate(_GO_ESCAPES).encode("utf-8", "replace")


def describe(data: bytes, media_type: str, platform: Platform | None = None) -> Descriptor:
    """The descriptor of some bytes."""
    return Descriptor(media_type, sha256(data), len(data), platform)

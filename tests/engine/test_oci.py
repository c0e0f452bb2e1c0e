"""Documents of images: written as BuildKit writes them, read with suspicion."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import oci
from engine.digests import sha256
from engine.errors import SourceError
from engine.llb.ops import Platform

EMPTY = oci.describe(b"{}", oci.OCI_CONFIG)


def manifest(**changes: Any) -> bytes:
    fields = json.loads(oci.document_bytes(oci.Manifest(EMPTY, (oci.describe(b"x", oci.OCI_LAYER_GZIP),))))
    return json.dumps({**fields, **changes}).encode()


def test_a_manifest_is_written_as_buildkit_does() -> None:
    layer = oci.Descriptor(oci.OCI_LAYER_GZIP, sha256(b"x"), 1, annotations={"b": "<&>", "a": "1"})
    assert oci.document_bytes(oci.Manifest(EMPTY, (layer,))).decode() == (
        '{\n  "schemaVersion": 2,\n  "mediaType": "application/vnd.oci.image.manifest.v1+json",\n'
        '  "config": {\n    "mediaType": "application/vnd.oci.image.config.v1+json",\n'
        f'    "digest": "{sha256(b"{}")}",\n    "size": 2\n  }},\n'
        '  "layers": [\n    {\n      "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",\n'
        f'      "digest": "{sha256(b"x")}",\n      "size": 1,\n'
        '      "annotations": {\n        "a": "1",\n        "b": "\\u003c\\u0026\\u003e"\n      }\n    }\n  ]\n}'
    )


def test_a_config_has_sorted_top_level_keys_and_escapes() -> None:
    config = {"os": "linux", "config": {"Env": ["A=<é>"], "Cmd": None}, "architecture": "amd64"}
    assert oci.config_bytes(config) == (
        '{"architecture":"amd64","config":{"Env":["A=\\u003cé\\u003e"],"Cmd":null},"os":"linux"}'.encode()
    )


def test_what_is_written_reads_the_same() -> None:
    platform = Platform("arm", "linux", "v7", "10", ("a",))
    attested = oci.Descriptor(
        oci.OCI_MANIFEST, sha256(b"1"), 1, platform, {"vnd.docker.reference.type": "x"}, "t", None
    )
    index = oci.Index((attested,), annotations={"k": "v"}, subject=EMPTY, artifact_type="a/b")
    assert oci.parse_document(oci.document_bytes(index)) == index
    assert attested.is_attestation
    inline = oci.Descriptor(oci.OCI_EMPTY, sha256(b"{}"), 2, data=b"{}")
    image = oci.Manifest(inline, (EMPTY,), oci.DOCKER_MANIFEST)
    assert oci.parse_document(oci.document_bytes(image), oci.DOCKER_MANIFEST + "; charset=utf-8") == image


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not json", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"schemaVersion":1,"fsLayers":[]}', "only version 2"),
        (manifest(manifests=[]), "both an image and an index"),
        (manifest(mediaType=oci.OCI_INDEX), "does not have the fields"),
        (manifest(mediaType="text/html"), "unknown kind"),
        (manifest(config=None), "descriptor is not a JSON object"),
        (manifest(layers=[{"mediaType": "x", "digest": "sha256:../../etc", "size": 1}]), "not a sha256 digest"),
        (manifest(layers=[{"mediaType": "x", "digest": EMPTY.digest, "size": -1}]), "no proper size"),
        (manifest(layers=[{"mediaType": "x", "digest": EMPTY.digest, "size": True}]), "no proper size"),
        (
            manifest(layers=[{"mediaType": "x", "digest": EMPTY.digest, "size": 2, "data": "eHg="}]),
            "is not what it names",
        ),
        (manifest(layers=[oci.descriptor_fields(EMPTY)] * 1001), "more than the 1000"),
        (b" " * (oci.MAX_MANIFEST + 1), "more than"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(oci.MalformedImage, match=said):
        oci.parse_document(data)


def test_a_manifest_sent_as_another_kind_is_refused() -> None:
    with pytest.raises(SourceError, match="but was sent as"):
        oci.parse_document(manifest(), oci.DOCKER_MANIFEST)


@pytest.mark.parametrize("config", [b"[]", b'{"rootfs":{"diff_ids":["x"]}}', b'{"config":[]}', b'{"rootfs":[]}'])
def test_a_config_that_cannot_be_is_refused(config: bytes) -> None:
    with pytest.raises(oci.MalformedImage):
        oci.parse_config(config)


def test_chain_ids_follow_the_specification() -> None:
    first, second = sha256(b"1"), sha256(b"2")
    assert oci.chain_ids((first, second)) == (first, sha256(f"{first} {second}".encode()))

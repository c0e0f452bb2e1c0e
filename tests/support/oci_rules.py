"""What the OCI image specification (1.1) and Docker's schema 2 say of layouts, indexes, manifests, configs, as checks.

Written from the specifications' text: descriptor.md, image-layout.md, image-index.md, manifest.md, config.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from engine.archive.compression import decompressor

OCI = "application/vnd.oci."
DOCKER = "application/vnd.docker."
INDEX = f"{OCI}image.index.v1+json"
MANIFEST = f"{OCI}image.manifest.v1+json"
EMPTY = f"{OCI}empty.v1+json"
LAYER = re.compile(
    r"application/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?"
    r"|application/vnd\.docker\.image\.rootfs\.diff\.tar(\.gzip)?|application/vnd\.in-toto\+json"
)
MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Broken(AssertionError):
    """A rule that a document breaks."""


def rule(holds: object, said: str) -> None:
    if not holds:
        raise Broken(said)


def check_layout(folder: Path) -> int:
    """Checks a layout with all that it names; how many documents that were. Raises Broken."""
    version = json.loads((folder / "oci-layout").read_bytes())
    rule(version == {"imageLayoutVersion": "1.0.0"}, "the layout's version")
    index = json.loads((folder / "index.json").read_bytes())
    rule("platform" not in index, "a platform belongs to an entry")
    return 1 + _check_index(index, INDEX, folder)


def _check_described(item: Any, folder: Path) -> int:
    """What a descriptor names: an index or manifest, with all below it."""
    media_type, document = item["mediaType"], json.loads(content(item, folder))
    if media_type in (INDEX, f"{DOCKER}distribution.manifest.list.v2+json"):
        return _check_index(document, media_type, folder)
    return _check_manifest(document, media_type, folder)


def _check_index(index: Any, media_type: str, folder: Path) -> int:
    rule(index["schemaVersion"] == 2 and index["mediaType"] == media_type, "an index says its version and type")
    rule(isinstance(index["manifests"], list), "an index has a list of manifests")
    _check_annotations(index)
    for item in index["manifests"]:
        rule("platform" not in item or {"architecture", "os"} <= item["platform"].keys(), "platforms have os and CPU")
        subject = (item.get("annotations") or {}).get("vnd.docker.reference.digest")
        rule(not subject or any(other["digest"] == subject for other in index["manifests"]), "a statement's image")
    return 1 + sum(_check_described(item, folder) for item in index["manifests"])


def _check_manifest(manifest: Any, media_type: str, folder: Path) -> int:
    rule(manifest["schemaVersion"] == 2 and manifest["mediaType"] == media_type, "a manifest says its version and type")
    family = OCI if media_type == MANIFEST else DOCKER
    _check_annotations(manifest)
    config = manifest["config"]
    rule(config["mediaType"].startswith(family), "a manifest and its config are of one family")
    rule(isinstance(manifest["layers"], list) and manifest["layers"], "a manifest has layers")
    for layer in manifest["layers"]:
        rule(LAYER.fullmatch(layer["mediaType"]), f"{layer['mediaType']} is no layer")
        rule(layer["mediaType"].startswith(family) or "in-toto" in layer["mediaType"], "layers are of the same family")
    if config["mediaType"] == EMPTY:
        rule(MEDIA_TYPE.fullmatch(manifest["artifactType"]), "an artifact says its type")
        rule(content(config, folder) == b"{}" and config["size"] == 2, "the empty descriptor names {}")
        rule(content(manifest["subject"], folder), "an artifact's subject is there")
        for layer in manifest["layers"]:
            rule(json.loads(content(layer, folder)), "statements are JSON")
        return 1
    _check_config(json.loads(content(config, folder)), manifest["layers"], folder)
    return 2


def _check_config(config: Any, layers: list[Any], folder: Path) -> None:
    rule(config["architecture"] and config["os"], "a config has os and CPU")
    rule("created" not in config or TIME.fullmatch(config["created"]), "times are those of RFC 3339")
    rule(config["rootfs"]["type"] == "layers", "the root file system is made of layers")
    diff_ids = config["rootfs"]["diff_ids"]
    rule(len(diff_ids) == len(layers), "there are as many tars as layers")
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        tar = decompressor((folder / "blobs" / layer["digest"].replace(":", "/")).open("rb"))
        rule(hashlib.sha256(tar.read(-1)).hexdigest() == diff_id[7:], "a layer holds the tar that the config names")
    history = config.get("history") or []
    rule(all(TIME.fullmatch(item["created"]) for item in history if "created" in item), "times in the history")
    if config["os"] != "unknown":
        rule(sum(not item.get("empty_layer") for item in history) == len(layers), "each layer has its line of history")
    _check_runtime(config.get("config") or {})


def _check_runtime(config: Any) -> None:
    lists = [config[key] for key in ("Env", "Entrypoint", "Cmd") if config.get(key) is not None]
    rule(all(isinstance(item, str) for words in lists for item in words), "lists of words")
    rule(all("=" in item for item in config.get("Env") or []), "Env has NAME=VALUE")
    sets = [config[key] for key in ("ExposedPorts", "Volumes") if config.get(key) is not None]
    rule(all(value == {} for names in sets for value in names.values()), "sets are objects of empty objects")
    rule(all(isinstance(v, str) for v in (config.get("Labels") or {}).values()), "labels are texts")
    rule(all(isinstance(config.get(key, ""), str) for key in ("User", "WorkingDir", "StopSignal")), "texts")


def _check_annotations(document: Any) -> None:
    found = document.get("annotations", {})
    rule(isinstance(found, dict), "annotations are an object")
    rule(all(key and isinstance(value, str) for key, value in found.items()), "annotations are texts")


def content(item: Any, folder: Path) -> bytes:
    """The blob that a descriptor names, with all rules about descriptors. Raises Broken."""
    rule(MEDIA_TYPE.fullmatch(item["mediaType"]), f"{item['mediaType']!r} is no media type")
    rule(DIGEST.fullmatch(item["digest"]), f"{item['digest']!r} is no digest")
    _check_annotations(item)
    data = (folder / "blobs" / item["digest"].replace(":", "/")).read_bytes()
    rule(type(item["size"]) is int and item["size"] == len(data), f"{item['digest']} has another size")
    rule(hashlib.sha256(data).hexdigest() == item["digest"][7:], f"{item['digest']} has another content")
    rule("data" not in item or base64.b64decode(item["data"], validate=True) == data, "embedded data is the blob's")
    return data

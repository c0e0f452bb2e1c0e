"""Builds of the recorded cases with caches: busybox as the cases know it, caches in the records' normal form."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import oci
from engine.digests import Digest, sha256
from engine.sources.image import source_key
from engine.sources.layers import layer_ids
from tests.support.dockerfile_cases import BUSYBOX, VECTORS, Case
from tests.support.images import busybox_layout
from tests.support.in_process import Workplace

BASE = "busybox-amd64"
"""What the records call the base image and its layer."""
EPOCH = "1700000000"
CASES = sorted(path.parents[1].name for path in VECTORS.glob("*/expected/cache.json"))
Links = list[list[dict[str, str]]]


def recorded_busybox(folder: Path) -> Path:
    """An OCI layout of this machine's busybox with the config, and so the environment, of the recorded one."""
    busybox_layout(folder)
    blobs = folder / "blobs" / "sha256"

    def read(digest: str) -> Any:
        return json.loads((blobs / digest.partition(":")[2]).read_bytes())

    def put(document: Any) -> tuple[Digest, int]:
        data = json.dumps(document).encode()
        (blobs / sha256(data).partition(":")[2]).write_bytes(data)
        return sha256(data), len(data)

    index = json.loads((folder / "index.json").read_text())
    manifest = read(index["manifests"][0]["digest"])
    config = BUSYBOX["platforms"]["linux/amd64"]["config"] | {"rootfs": read(manifest["config"]["digest"])["rootfs"]}
    manifest["config"]["digest"], manifest["config"]["size"] = put(config)
    index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(manifest)
    index["manifests"][0]["annotations"] = {oci.REF_NAME: "1.35"}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def place_case(
    case: Case, place: Workplace, busybox: Path, root: Path, changed: Mapping[str, Any] | None = None
) -> Workplace:
    """A case's files in a workplace, with the modes they were recorded with, perhaps changed; its state in `root`."""
    shutil.rmtree(place.folder, ignore_errors=True)
    place.folder.mkdir(parents=True)
    shutil.copytree(case.folder / "context", place.folder / "context")
    shutil.copytree(busybox, place.folder / "base")
    options = dict(case.fields.get("opts", {})) | dict((changed or {}).get("opts", {}))
    for name, text in (changed or {}).get("write", {}).items():
        if text is None:
            (place.folder / name).unlink()
        else:
            place.write(name, text)
    for path in (place.folder / "context", *(place.folder / "context").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for ident, value in case.fields.get("secrets", {}).items():
        place.write(f".secrets/{ident}", value)
    target = {
        "context": "context",
        "contexts": {"localhost:5000/busybox:1.35": "oci-layout://base"},
        "args": {"SOURCE_DATE_EPOCH": EPOCH}
        | {key.removeprefix("build-arg:"): text for key, text in options.items() if key.startswith("build-arg:")},
        "secret": [f"id={ident},src=.secrets/{ident}" for ident in case.fields.get("secrets", {})],
        "output": ["type=cacheonly"],
    }
    place.write("docker-bake.json", json.dumps({"target": {"default": target}}))
    return Workplace(place.folder, root, place.environ)


def case_of(name: str) -> Case:
    """The case of a folder."""
    return Case(VECTORS / name, "", json.loads((VECTORS / name / "case.json").read_text()))


def normal_form(folder: Path, busybox: Path) -> dict[str, Any]:
    """A cache in a folder as the records have it: layers by the record that they are the result of, no times."""
    layout = {name: json.loads((busybox / name).read_text()) for name in ("index.json",)}
    config = read_config(folder)
    known = base_digests(busybox, layout["index.json"])
    records = [record | {"digest": known.get(record["digest"], record["digest"])} for record in config["records"]]
    layers = config["layers"]
    tops = {result["layer"]: record["digest"] for record in records for result in record.get("layers", [])}
    names = {number: f"of {tops[number]}" if number in tops else BASE for number in range(len(layers))}
    out = [{"layer": names[n], "parent": names.get(layers[n].get("parent", 0))} for n in range(len(layers))]
    return {"layers": distinct(out), "records": distinct([_record(record, records, names) for record in records])}


def _record(record: dict[str, Any], records: list[dict[str, Any]], names: dict[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"digest": record["digest"]}
    if record.get("inputs"):
        found["inputs"] = [
            distinct([{**link, "link": records[link["link"]]["digest"]} for link in links])
            for links in record["inputs"]
        ]
    if record.get("layers"):
        found["results"] = [names[result["layer"]] for result in record["layers"]]
    return found


def distinct(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each item once, in order: where the base image has two keys, the records know one."""
    return [json.loads(text) for text in sorted({json.dumps(item, sort_keys=True) for item in items})]


def base_digests(busybox: Path, index: Any) -> dict[str, str]:
    """The two records that stand for the base image."""
    digest = index["manifests"][0]["digest"]
    config = json.loads((busybox / "blobs/sha256" / digest[7:]).read_bytes())["config"]["digest"]
    diff_ids = json.loads((busybox / "blobs/sha256" / config[7:]).read_bytes())["rootfs"]["diff_ids"]
    manifest = sha256(oci.go_json({"Digest": digest, "OS": "linux", "Arch": "amd64"}))
    keys = (manifest, Digest(f"sha256:{layer_ids(diff_ids)[-1]}"))
    return {sha256(f"{source_key(key)}@0".encode()): BASE for key in keys}


def read_config(folder: Path) -> dict[str, Any]:
    """The cache config of a folder."""
    index = json.loads((folder / "index.json").read_text())
    manifest = json.loads((folder / "blobs/sha256" / index["manifests"][-1]["digest"][7:]).read_text())
    config: dict[str, Any] = json.loads((folder / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
    return config

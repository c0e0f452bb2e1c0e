"""Everything that outputs write keeps the rules of the OCI image specification, whatever form attributes give it."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.digests import sha256
from engine.exporters import open_exporter
from engine.exporters.contract import Attest, BuildFacts, Export, PlatformImage, TargetImage
from engine.frontends.contract import FrontendRequest
from engine.llb.definition import Definition
from engine.llb.ops import Platform
from engine.snapshots.store import SnapshotStore
from engine.state import State
from tests.engine.exporters.test_exporters import AMD64, ARM64, CONFIG, EPOCH, opened, two_layers
from tests.support.oci_rules import Broken, check_layout

SETTINGS = {
    "Env": ["PATH=/bin", "EMPTY="],
    "Entrypoint": ["/bin/tool"],
    "Cmd": ["a", "b"],
    "ExposedPorts": {"80/udp": {}},
    "Volumes": {"/v": {}},
    "Labels": {"a": "b"},
    "User": "5:6",
    "WorkingDir": "/w",
    "StopSignal": "SIGTERM",
}
ANNOTATIONS = {
    "annotation.a": "1",
    "annotation-manifest[linux/arm64].b": "2",
    "annotation-manifest-descriptor.c": "3",
    "annotation-index.d": "4",
    "annotation-index-descriptor.e": "5",
}
FORMS: dict[str, dict[str, str]] = {
    "gzip": {"compression-level": "9"},
    "zstd": {"compression": "zstd", "compression-level": "0"},
    "estargz": {"compression": "estargz"},
    "uncompressed": {"compression": "uncompressed"},
    "docker types": {"oci-mediatypes": "false"},
    "annotated": ANNOTATIONS,
    "named": {"name": "shop/app:1,shop/app:2"},
    "rewritten": {"rewrite-timestamp": "true"},
}
STATEMENTS = (Attest("provenance", {"mode": "max"}), Attest("sbom"))
FACTS = BuildFacts(Definition({}, None), FrontendRequest({"build-arg:A": "1"}, {}), finished=2.0, build="b")


@dataclass(frozen=True)
class World:
    state: State
    store: SnapshotStore

    def write(self, image: TargetImage, dest: Path, type: str = "oci", **attributes: str) -> None:
        self.export(image, Export(type, {"dest": str(dest), **attributes}))

    def export(self, image: TargetImage, export: Export) -> None:
        async def run() -> None:
            async with opened(self.state, self.store) as context:
                await open_exporter(export).export(image, context)

        trio.run(run)

    def target(self, *platforms: Platform, attests: tuple[Attest, ...] = ()) -> TargetImage:
        snapshot = two_layers(self.store)
        images = tuple(
            PlatformImage(
                f"linux/{platform.architecture}",
                platform,
                snapshot,
                CONFIG | {"architecture": platform.architecture, "config": SETTINGS},
                facts=FACTS,
            )
            for platform in platforms
        )
        return TargetImage("app", images, len(images) > 1, EPOCH, attests)


@pytest.fixture
def world(state: State, store: SnapshotStore) -> World:
    return World(state, store)


@pytest.mark.parametrize("form", FORMS)
def test_layouts_keep_the_rules(world: World, tmp_path: Path, form: str) -> None:
    world.write(world.target(AMD64, ARM64), tmp_path / "two", tar="false", **FORMS[form])
    named = 2 if "name" in FORMS[form] else 1
    assert (
        check_layout(tmp_path / "two") == 2 + named * 5
    )  # an index with manifest and config of each image, for each name
    single = {key: value for key, value in FORMS[form].items() if "index" not in key and "arm64" not in key}
    world.write(world.target(AMD64), tmp_path / "one", tar="false", **single)
    assert check_layout(tmp_path / "one") == 2 + named * 2


@pytest.mark.parametrize("artifact", ["true", "false"])
def test_statements_keep_the_rules(world: World, tmp_path: Path, artifact: str) -> None:
    image = world.target(AMD64, ARM64, attests=STATEMENTS)
    world.write(image, tmp_path / "l", tar="false", **{"oci-artifact": artifact})
    assert check_layout(tmp_path / "l") == (9 if artifact == "true" else 11)


@pytest.mark.parametrize("type", ["oci", "docker"])
def test_archives_are_layouts_that_keep_the_rules(world: World, tmp_path: Path, type: str) -> None:
    world.write(world.target(AMD64), tmp_path / "x.tar", type, name="shop/app:1")
    with tarfile.open(tmp_path / "x.tar") as archive:
        archive.extractall(tmp_path / "l", filter="data")
    assert check_layout(tmp_path / "l") == 4
    if type == "docker":
        (entry,) = json.loads((tmp_path / "l/manifest.json").read_bytes())
        assert entry["RepoTags"] == ["shop/app:1"]
        assert all((tmp_path / "l" / name).is_file() for name in (entry["Config"], *entry["Layers"]))


def spoil(folder: Path, change: Callable[[Any], None]) -> None:
    """Changes the manifest of a layout's only image, and the digest that names it."""
    index = json.loads((folder / "index.json").read_bytes())
    (entry,) = index["manifests"]
    manifest = json.loads((folder / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    change(manifest)
    data = json.dumps(manifest).encode()
    entry["digest"], entry["size"] = sha256(data), len(data)
    (folder / "blobs" / entry["digest"].replace(":", "/")).write_bytes(data)
    (folder / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(schemaVersion=1), "version and type"),
        (lambda m: m.update(layers=None), "has layers"),
        (lambda m: m["layers"].pop(), "as many tars as layers"),
        (lambda m: m["layers"].reverse(), "the tar that the config names"),
        (lambda m: m["config"].update(size=1), "another size"),
        (lambda m: m["layers"][0].update(mediaType="tar"), "is no layer"),
        (lambda m: m.update(annotations={"a": 1}), "annotations are texts"),
    ],
)
def test_what_breaks_a_rule_is_found(world: World, tmp_path: Path, change: Callable[[Any], None], said: str) -> None:
    world.write(world.target(AMD64), tmp_path / "l", tar="false")
    spoil(tmp_path / "l", change)
    with pytest.raises(Broken, match=said):
        check_layout(tmp_path / "l")

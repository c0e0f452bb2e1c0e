"""Attestations through whole outputs: in an index beside the images, or in files beside the files."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from engine.blobs import BlobStore
from engine.errors import ExportError
from engine.exporters import open_exporter
from engine.exporters.context import ExportContext
from engine.exporters.contract import Attest, BuildFacts, Export, PlatformImage, TargetImage
from engine.frontends.contract import FrontendRequest
from engine.llb.definition import Definition
from engine.llb.ops import Platform
from engine.registry.client import Registries
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State
from tests.support.registry_server import registry_server

STATUS = "Package: bash\nStatus: install ok installed\nVersion: 5\nArchitecture: amd64\n"
FACTS = BuildFacts(
    Definition({}, None), FrontendRequest({"build-arg:A": "1"}, {}), started=1.0, finished=2.0, build="b"
)
BOTH = (Attest("provenance", {"mode": "min"}), Attest("sbom"))


class World:
    def __init__(self, state: State, store: SnapshotStore) -> None:
        self.state, self.store = state, store
        with store.new_layer(Snapshot()) as new:
            (new.path / "var/lib/dpkg").mkdir(parents=True)
            (new.path / "var/lib/dpkg/status").write_text(STATUS)
            self.snapshot = new.commit("a step")
        self.target = self.of("amd64")

    def of(self, *architectures: str) -> TargetImage:
        platforms = tuple(
            PlatformImage(
                f"linux/{arch}",
                Platform(arch, "linux"),
                self.snapshot,
                {"architecture": arch, "os": "linux", "config": {}, "history": [{"created_by": "COPY"}]},
                facts=FACTS,
            )
            for arch in architectures
        )
        return TargetImage("app", platforms, len(platforms) > 1, 1_700_000_000, BOTH)

    def export(self, type: str, **attributes: str) -> dict[str, str]:
        named = {key.replace("_", "-"): value for key, value in attributes.items()}

        async def run() -> dict[str, str]:
            async with Registries(environ={}) as registries:
                context = ExportContext(
                    self.state, self.store, BlobStore(self.state), lambda: registries, lambda *_: None
                )
                return dict((await open_exporter(Export(type, named)).export(self.target, context)).metadata)

        return trio.run(run)


@pytest.fixture
def world(state: State, store: SnapshotStore) -> World:
    return World(state, store)


def read(layout: Path, digest: str) -> dict:
    return json.loads((layout / "blobs/sha256" / digest.partition(":")[2]).read_bytes())


def test_the_index_holds_the_images_first_then_what_is_said_of_each(world: World, tmp_path: Path) -> None:
    world.target = world.of("amd64", "arm64")
    found = world.export("oci", dest=str(tmp_path / "l"), tar="false", name="app:1")
    index = read(tmp_path / "l", found["containerimage.digest"])
    assert [item["platform"]["architecture"] for item in index["manifests"]] == ["amd64", "arm64", "unknown", "unknown"]
    for image, said in zip(index["manifests"][:2], index["manifests"][2:], strict=True):
        manifest = read(tmp_path / "l", said["digest"])
        assert manifest["subject"]["digest"] == said["annotations"]["vnd.docker.reference.digest"] == image["digest"]
        statements = [read(tmp_path / "l", layer["digest"]) for layer in manifest["layers"]]
        assert [s["predicateType"] for s in statements] == [
            "https://spdx.dev/Document",
            "https://slsa.dev/provenance/v1",
        ]
        assert all(s["subject"][0]["digest"]["sha256"] == image["digest"][7:] for s in statements)
        assert statements[0]["predicate"]["packages"][1]["name"] == "bash"
        assert "build-arg:A" not in json.dumps(statements[1]), "min does not tell arguments"
    subprocess.run(["skopeo", "copy", "--all", f"oci:{tmp_path / 'l'}:1", f"oci:{tmp_path / 'copy'}:1"], check=True)


def test_an_attested_image_is_pushed_whole(world: World, tmp_path: Path) -> None:
    with registry_server(tmp_path / "registry") as registry:
        name = f"{registry.host}/app:1"
        found = world.export("image", name=name, push="true")
        subprocess.run(
            ["skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path / 'l'}:1"],
            check=True,
        )
    index = read(tmp_path / "l", found["containerimage.digest"])
    subject = read(tmp_path / "l", read(tmp_path / "l", index["manifests"][1]["digest"])["layers"][0]["digest"])[
        "subject"
    ]
    assert subject[0]["name"].startswith("pkg:docker/")
    assert subject[0]["name"].endswith("/app@1?platform=linux%2Famd64")


def test_provenance_for_images_only_stays_out_of_archives(world: World, tmp_path: Path) -> None:
    world.target = replace(world.target, attests=(Attest("provenance", {"inline-only": "true"}),))
    found = world.export("oci", dest=str(tmp_path / "l"), tar="false")
    assert "containerimage.config.digest" in found, "a lone manifest"
    found = world.export("image")
    assert "containerimage.config.digest" not in found, "an index"
    world.target = replace(world.of("amd64", "arm64"), attests=world.target.attests)
    found = world.export("oci", dest=str(tmp_path / "l"), tar="false")
    assert len(read(tmp_path / "l", found["containerimage.digest"])["manifests"]) == 4, "an index anyhow"


@pytest.mark.parametrize("type", ["local", "tar"])
def test_beside_files(world: World, tmp_path: Path, type: str) -> None:
    world.target = world.of("amd64", "arm64")
    world.export(type, dest=str(tmp_path / "out"), attestation_prefix="app.")
    if type == "tar":
        (tmp_path / "files").mkdir()
        subprocess.run(["tar", "-xf", tmp_path / "out", "-C", tmp_path / "files"], check=True)
    files = tmp_path / ("files" if type == "tar" else "out")
    for folder in ("linux_amd64", "linux_arm64"):
        for name in ("app.provenance.json", "app.sbom.spdx.json"):
            statement = json.loads((files / folder / name).read_text())
            digest = hashlib.sha256(STATUS.encode()).hexdigest()
            assert statement["subject"] == [{"name": "var/lib/dpkg/status", "digest": {"sha256": digest}}]


def test_files_beside_others_have_their_names_place_and_the_folders_keep_their_times(
    world: World, tmp_path: Path
) -> None:
    world.target = world.of("arm64", "amd64")
    world.export("tar", dest=str(tmp_path / "out.tar"))
    listed = subprocess.run(["tar", "-tf", tmp_path / "out.tar"], check=True, capture_output=True, text=True).stdout
    tops = [line for line in listed.splitlines() if line.rstrip("/").count("/") <= 1]
    assert tops == [
        f"linux_{arch}/{name}"
        for arch in ("amd64", "arm64")
        for name in ("", "provenance.json", "sbom.spdx.json", "var/")
    ]
    world.export("local", dest=str(tmp_path / "out"))
    assert {path.stat().st_mtime for path in (tmp_path / "out").iterdir()} == {1_700_000_000}


def test_of_an_image_without_files_nothing_is_said(world: World, tmp_path: Path) -> None:
    empty = replace(world.target.platforms[0], snapshot=Snapshot(), config={"architecture": "amd64", "os": "linux"})
    world.target = replace(world.target, platforms=(empty,))
    assert "containerimage.config.digest" in world.export("oci", dest=str(tmp_path / "l"), tar="false")


def test_beside_files_of_platforms_that_are_not_apart(world: World, tmp_path: Path) -> None:
    world.target = world.of("amd64")
    world.export("local", dest=str(tmp_path / "one"))
    assert (tmp_path / "one/provenance.json").stat().st_mode & 0o777 == 0o600
    world.target = replace(world.of("amd64"), multi=True)
    world.export("local", dest=str(tmp_path / "flat"), platform_split="false")
    assert sorted(path.name for path in (tmp_path / "flat").iterdir()) == ["provenance.json", "sbom.spdx.json", "var"]


@pytest.mark.parametrize(
    ("type", "attributes", "message"),
    [
        ("docker", {"dest": "x.tar"}, "cannot hold attestations"),
        ("oci", {"dest": "x.tar", "oci-mediatypes": "false"}, "attestations cannot be exported"),
    ],
)
def test_where_attestations_cannot_be(world: World, type: str, attributes: dict[str, str], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        world.export(type, **attributes)

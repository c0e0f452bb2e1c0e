"""Outputs, whole: read back by skopeo and umoci, pulled from a real registry, compared with what was built."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from engine import oci
from engine.archive.compression import decompressor
from engine.blobs import BlobStore
from engine.digests import Digest, sha256
from engine.errors import ExportError
from engine.exporters import open_exporter
from engine.exporters.context import ExportContext
from engine.exporters.contract import Export, PlatformImage, TargetImage
from engine.llb.ops import Platform
from engine.registry.client import Registries
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.sources.layers import LAYOUT_ORIGIN, record_layers
from engine.state import State
from tests.support.registry_server import RegistryServer, registry_server

EPOCH = 1_700_000_000
AMD64, ARM64 = Platform("amd64", "linux"), Platform("arm64", "linux")
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["PATH=/bin"], "WorkingDir": "/"},
    "history": [
        {"created_by": "COPY a", "comment": "buildkit.dockerfile.v0"},
        {"created_by": "ENV B=c", "comment": "buildkit.dockerfile.v0", "empty_layer": True},
        {"created_by": "RUN b", "comment": "buildkit.dockerfile.v0"},
    ],
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


@asynccontextmanager
async def opened(state: State, store: SnapshotStore) -> AsyncIterator[ExportContext]:
    async with Registries(environ={}) as registries:
        yield ExportContext(state, store, BlobStore(state), lambda: registries, lambda *_: None)


def layer(store: SnapshotStore, base: Snapshot, files: dict[str, str]) -> Snapshot:
    with store.new_layer(base) as new:
        for name, text in files.items():
            path = new.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return new.commit("a step")


def two_layers(store: SnapshotStore) -> Snapshot:
    below = layer(store, Snapshot(), {"etc/name": "one\n", "bin/tool": "#!/bin/sh\n"})
    (store.layer_path(below.layers[0]) / "bin/tool").chmod(0o755)
    os.link(store.layer_path(below.layers[0]) / "bin/tool", store.layer_path(below.layers[0]) / "bin/again")
    return layer(store, below, {"etc/name": "two\n", "new": "new\n"})


def target(snapshot: Snapshot, *, epoch: int | None = EPOCH) -> TargetImage:
    return TargetImage("app", (PlatformImage("linux/amd64", AMD64, snapshot, CONFIG),), epoch=epoch)


def both(snapshot: Snapshot) -> TargetImage:
    arm = CONFIG | {"architecture": "arm64"}
    platforms = (
        PlatformImage("linux/amd64", AMD64, snapshot, CONFIG),
        PlatformImage("linux/arm64", ARM64, snapshot, arm),
    )
    return TargetImage("app", platforms, multi=True, epoch=EPOCH)


def export(state: State, store: SnapshotStore, image: TargetImage, type: str, **attributes: str) -> dict[str, str]:
    named = {key.replace("__", ".").replace("_", "-"): value for key, value in attributes.items()}

    async def run() -> dict[str, str]:
        async with opened(state, store) as context:
            return dict((await open_exporter(Export(type, named)).export(image, context)).metadata)

    return trio.run(run)


def skopeo(*arguments: str) -> bytes:
    return subprocess.run(["skopeo", *arguments], check=True, capture_output=True).stdout


class Layout:
    """A written OCI layout: every blob is checked when it is read."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as archive:
            self.names = archive.getnames()
            self.files = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]

    def blob(self, digest: str) -> bytes:
        data = self.files["blobs/sha256/" + digest.partition(":")[2]]
        assert sha256(data) == digest
        return data

    def json(self, digest: str) -> dict:
        return json.loads(self.blob(digest))

    @property
    def entries(self) -> list[dict]:
        return json.loads(self.files["index.json"])["manifests"]

    def image(self) -> tuple[dict, dict]:
        manifest = self.json(self.entries[0]["digest"])
        return manifest, self.json(manifest["config"]["digest"])


# ---- archives


def test_an_oci_archive_is_an_image_for_skopeo_and_umoci(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    dest = tmp_path / "out" / "image.tar"
    metadata = export(state, store, target(two_layers(store)), "oci", dest=str(dest), name="shop/app:1")
    layout = Layout(dest)
    manifest, config = layout.image()
    assert metadata["containerimage.digest"] == layout.entries[0]["digest"]
    assert metadata["containerimage.config.digest"] == manifest["config"]["digest"]
    assert json.loads(base64.b64decode(metadata["containerimage.descriptor"]))["annotations"] == {
        "org.opencontainers.image.created": "2023-11-14T22:13:20Z"
    }
    assert metadata["image.name"] == "docker.io/shop/app:1"
    for described, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        plain = decompressor(io.BytesIO(layout.blob(described["digest"]))).read(1 << 24)
        assert sha256(plain) == diff_id

    skopeo("copy", f"oci-archive:{dest}", f"oci:{tmp_path / 'layout'}:1")
    if os.geteuid() == 0:
        bundle = tmp_path / "bundle"
        subprocess.run(["umoci", "unpack", "--image", f"{tmp_path / 'layout'}:1", bundle], check=True)
        assert (bundle / "rootfs/etc/name").read_text() == "two\n"
        assert (bundle / "rootfs/bin/tool").stat().st_nlink == 2
    assert sorted(path.name for path in dest.parent.iterdir()) == ["image.tar"]


def test_history_gets_the_times_of_the_layers(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    snapshot = two_layers(store)
    export(state, store, target(snapshot, epoch=None), "oci", dest=str(tmp_path / "a.tar"))
    _, config = Layout(tmp_path / "a.tar").image()
    times = [entry["created"] for entry in config["history"]]
    assert times[0] < times[2]
    assert times[1] == times[2] == config["created"]
    export(state, store, target(snapshot), "oci", dest=str(tmp_path / "b.tar"))
    _, config = Layout(tmp_path / "b.tar").image()
    assert {entry["created"] for entry in config["history"]} == {config["created"]} == {"2023-11-14T22:13:20Z"}


def test_with_an_epoch_two_stores_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        state = State.open(tmp_path / name)
        store = SnapshotStore(state)
        dest = tmp_path / f"{name}.tar"
        export(state, store, target(two_layers(store)), "oci", dest=str(dest), rewrite_timestamp="true")
        digests.add(hashlib.sha256(dest.read_bytes()).hexdigest())
        store.close()
        state.close()
    assert len(digests) == 1


def test_a_docker_archive_names_its_parts(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    dest = tmp_path / "image.tar"
    export(state, store, target(two_layers(store)), "docker", dest=str(dest), name="app,shop.example/app:2")
    layout = Layout(dest)
    (entry,) = json.loads(layout.files["manifest.json"])
    assert entry["RepoTags"] == ["app:latest", "shop.example/app:2"]
    assert json.loads(layout.files[entry["Config"]])["rootfs"]["type"] == "layers"
    assert all(name in layout.files for name in entry["Layers"])
    assert json.loads(skopeo("inspect", f"docker-archive:{dest}:app:latest"))["Architecture"] == "amd64"


def test_a_docker_archive_of_two_platforms_is_refused(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="one platform only"):
        export(state, store, both(two_layers(store)), "docker", dest=str(tmp_path / "x.tar"))
    assert not (tmp_path / "x.tar").exists()


def test_two_platforms_make_an_index_and_annotations_go_where_they_belong(
    state: State, store: SnapshotStore, tmp_path: Path
) -> None:
    dest = tmp_path / "image.tar"
    attributes = {
        "dest": str(dest),
        "annotation.all": "m",
        "annotation[linux/arm64].arm": "m",
        "annotation-index.i": "x",
        "annotation-manifest-descriptor.d": "x",
        "annotation-index-descriptor.top": "x",
    }

    async def run() -> None:
        async with opened(state, store) as context:
            await open_exporter(Export("oci", attributes)).export(both(two_layers(store)), context)

    trio.run(run)
    layout = Layout(dest)
    top = layout.entries[0]
    index = layout.json(top["digest"])
    assert top["annotations"]["top"] == "x"
    assert index["annotations"] == {"i": "x"}
    assert [m["platform"]["architecture"] for m in index["manifests"]] == ["amd64", "arm64"]
    assert [m["annotations"] for m in index["manifests"]] == [{"d": "x"}] * 2
    assert [layout.json(m["digest"])["annotations"] for m in index["manifests"]] == [
        {"all": "m"},
        {"all": "m", "arm": "m"},
    ]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "uncompressed"])
def test_every_compression_holds_the_same_tars(
    state: State, store: SnapshotStore, tmp_path: Path, compression: str
) -> None:
    snapshot = two_layers(store)
    found = []
    for form in ("gzip", compression):
        export(state, store, target(snapshot), "oci", dest=str(tmp_path / "x.tar"), compression=form)
        manifest, config = Layout(tmp_path / "x.tar").image()
        found.append(config["rootfs"]["diff_ids"])
    suffix = "" if compression == "uncompressed" else f"+{compression}"
    assert {item["mediaType"] for item in manifest["layers"]} == {oci.OCI_LAYER + suffix}
    assert found[0] == found[1]


def test_docker_media_types(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    export(state, store, target(two_layers(store)), "oci", dest=str(tmp_path / "x.tar"), oci_mediatypes="false")
    manifest, _ = Layout(tmp_path / "x.tar").image()
    assert manifest["mediaType"] == oci.DOCKER_MANIFEST
    assert manifest["config"]["mediaType"] == oci.DOCKER_CONFIG
    assert {item["mediaType"] for item in manifest["layers"]} == {oci.DOCKER_LAYER_GZIP}


def test_an_epoch_of_the_outputs_own_counts_and_an_empty_one_is_none(
    state: State, store: SnapshotStore, tmp_path: Path
) -> None:
    image = replace(target(two_layers(store)), epoch=1_000_000_000)
    created = []
    for own in ({}, {"source-date-epoch": "5"}, {"source-date-epoch": ""}):
        folder = tmp_path / f"layout{len(created)}"
        export(state, store, image, "oci", dest=str(folder), tar="false", **own)
        entry = json.loads((folder / "index.json").read_bytes())["manifests"][0]
        created.append(entry["annotations"]["org.opencontainers.image.created"])
    assert created[:2] == ["2001-09-09T01:46:40Z", "1970-01-01T00:00:05Z"]
    assert created[2] > "2026"


def test_a_name_by_digest_is_the_ref_name_whole(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    name = f"example.org/a/b@sha256:{'a' * 64}"
    export(state, store, target(two_layers(store)), "oci", dest=str(tmp_path / "l"), tar="false", name=f"{name},c:1")
    entries = json.loads((tmp_path / "l/index.json").read_bytes())["manifests"]
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries] == [name, "1"]


def test_several_targets_share_a_layout_folder(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    snapshot, folder = two_layers(store), tmp_path / "layout"
    for name in ("one:a", "two:b", "one:a"):
        export(state, store, target(snapshot), "oci", dest=str(folder), tar="false", name=name)
    entries = json.loads((folder / "index.json").read_bytes())["manifests"]
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries] == ["b", "a"]
    assert b'"Layers"' in skopeo("inspect", f"oci:{folder}:a")
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_an_image_without_layers(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    config = CONFIG | {"history": CONFIG["history"][1:2]}
    image = TargetImage("app", (PlatformImage("linux/amd64", AMD64, Snapshot(), config),), epoch=EPOCH)
    export(state, store, image, "oci", dest=str(tmp_path / "x.tar"))
    manifest, written = Layout(tmp_path / "x.tar").image()
    assert manifest["layers"] is None  # as the peer has it
    assert written["rootfs"] == {"type": "layers", "diff_ids": None}


def test_a_layer_is_packed_once(state: State, store: SnapshotStore, tmp_path: Path, monkeypatch) -> None:
    from engine.archive import layer_tar

    packed, real = [], layer_tar.write_layer

    def counting(folder: Path, *rest, **named) -> None:
        packed.append(folder)
        real(folder, *rest, **named)

    monkeypatch.setattr(layer_tar, "write_layer", counting)
    snapshot = two_layers(store)

    async def run() -> None:
        async with opened(state, store) as context, trio.open_nursery() as nursery:
            for number in range(4):
                exporter = open_exporter(Export("oci", {"dest": str(tmp_path / f"{number}.tar")}))
                nursery.start_soon(exporter.export, target(snapshot), context)

    trio.run(run)
    export(state, store, both(snapshot), "oci", dest=str(tmp_path / "again.tar"))
    assert len(packed) == len(set(packed)) == 2


# ---- registries


@pytest.mark.parametrize("attributes", [{}, {"push_by_digest": "true"}])
def test_a_pushed_image_is_pulled_by_skopeo(
    state: State, store: SnapshotStore, registry: RegistryServer, tmp_path: Path, attributes: dict[str, str]
) -> None:
    name = f"{registry.host}/pushed{len(attributes)}"
    metadata = export(state, store, both(two_layers(store)), "image", name=name, push="true", **attributes)
    place = f"docker://{name}@{metadata['containerimage.digest']}" if attributes else f"docker://{name}:latest"
    skopeo("copy", "--all", "--src-tls-verify=false", place, f"oci:{tmp_path / 'layout'}:x")
    index = json.loads((tmp_path / "layout/index.json").read_bytes())
    assert index["manifests"][0]["digest"] == metadata["containerimage.digest"]


def test_a_dangling_name_is_one_more_and_by_digest(
    state: State, store: SnapshotStore, registry: RegistryServer
) -> None:
    image, host = target(two_layers(store)), registry.host
    attributes = {"dangling-name-prefix": f"{host}/dangling", "name": f"{host}/named:1", "push": "true"}

    def pushed(**more: str) -> str:
        async def run() -> str:
            async with opened(state, store) as context:
                exporter = open_exporter(Export("image", {**attributes, **more}))
                return (await exporter.export(image, context)).metadata["image.name"]

        return trio.run(run)

    only_named = pushed(**{"danging-name-empty-only": "true"})
    assert only_named == f"{host}/named:1"
    named, dangling = pushed().split(",")
    assert named == only_named
    assert dangling.startswith(f"{host}/dangling@sha256:")
    skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{dangling}")
    assert pushed(name="") == dangling


def test_without_push_nothing_is_pushed_by_digest_either(
    state: State, store: SnapshotStore, registry: RegistryServer
) -> None:
    before = len(registry.requests())
    export(state, store, target(two_layers(store)), "image", name=f"{registry.host}/quiet", push_by_digest="true")
    assert registry.requests()[before:] == []


def test_a_second_push_sends_nothing(state: State, store: SnapshotStore, registry: RegistryServer) -> None:
    snapshot = two_layers(store)
    export(state, store, target(snapshot), "registry", name=f"{registry.host}/twice:1")
    before = len(registry.requests())
    export(state, store, target(snapshot), "registry", name=f"{registry.host}/twice:2,{registry.host}/twice:3")
    asked = registry.requests()[before:]
    assert not [line for line in asked if "uploads" in line]
    assert len([line for line in asked if line.startswith("PUT")]) == 2


def base_image(state: State, store: SnapshotStore, folder: Path) -> tuple[Snapshot, oci.Descriptor, Digest]:
    """A layer that is known from a layout, but was never fetched."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("base"))
    packed = gzip.compress(out.getvalue())
    blob = oci.Descriptor(oci.DOCKER_LAYER_GZIP, sha256(packed), len(packed))
    (folder / "blobs/sha256").mkdir(parents=True)
    (folder / "blobs/sha256" / blob.digest[7:]).write_bytes(packed)
    diff_id = sha256(out.getvalue())
    ids = record_layers(state, [diff_id], [blob], f"{LAYOUT_ORIGIN}{folder}", "base")
    return Snapshot(ids), blob, diff_id


@pytest.mark.parametrize("form", ["kept", "forced"])
def test_a_base_layer_is_passed_on_without_being_unpacked(
    state: State, store: SnapshotStore, registry: RegistryServer, tmp_path: Path, form: str
) -> None:
    base, blob, diff_id = base_image(state, store, tmp_path / "base")
    with store.new_layer(Snapshot()) as new:  # as COPY --link: made over nothing, laid over the base
        (new.path / "own").write_text("own")
        own = new.commit("own")
    snapshot = Snapshot((*base.layers, *own.layers))
    forced = {"compression": "zstd", "force_compression": "true"} if form == "forced" else {}
    export(state, store, target(snapshot), "oci", dest=str(tmp_path / "x.tar"), **forced)
    manifest, config = Layout(tmp_path / "x.tar").image()
    assert config["rootfs"]["diff_ids"][0] == diff_id
    if form == "kept":
        assert manifest["layers"][0]["digest"] == blob.digest
        assert manifest["layers"][0]["mediaType"] == oci.OCI_LAYER_GZIP
    else:
        assert manifest["layers"][0]["mediaType"] == oci.OCI_LAYER_ZSTD
    assert store.missing(snapshot) == list(base.layers)
    export(state, store, target(snapshot), "registry", name=f"{registry.host}/based-{form}", **forced)
    assert registry.blob_path(manifest["layers"][0]["digest"]).exists()


def test_of_a_base_layer_in_two_forms_that_is_passed_on_which_is_asked_for(
    state: State, store: SnapshotStore, tmp_path: Path
) -> None:
    base, packed, diff_id = base_image(state, store, tmp_path / "base")
    plain = gzip.decompress((tmp_path / "base/blobs/sha256" / packed.digest[7:]).read_bytes())
    blob = oci.Descriptor(oci.OCI_LAYER, diff_id, len(plain))
    (tmp_path / "other/blobs/sha256").mkdir(parents=True)
    (tmp_path / "other/blobs/sha256" / diff_id[7:]).write_bytes(plain)
    record_layers(state, [diff_id], [blob], f"{LAYOUT_ORIGIN}{tmp_path / 'other'}", "other")

    def exported(**form: str) -> str:
        export(state, store, target(base), "oci", dest=str(tmp_path / "x.tar"), **form)
        return str(Layout(tmp_path / "x.tar").image()[0]["layers"][0]["digest"])

    assert exported(compression="uncompressed") == diff_id  # which is here from now on
    assert exported() == packed.digest


def test_a_layer_over_nothing_says_all_that_it_has(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    below = layer(store, Snapshot(), {"same/f": "x"})
    linked = layer(store, Snapshot(), {"same/f": "x"})
    for snapshot in (below, linked):
        os.utime(store.layer_path(snapshot.layers[0]) / "same/f", (5, 5))
    export(state, store, target(Snapshot((*below.layers, *linked.layers))), "oci", dest=str(tmp_path / "x.tar"))
    layout = Layout(tmp_path / "x.tar")
    manifest, _ = layout.image()
    with tarfile.open(fileobj=io.BytesIO(layout.blob(manifest["layers"][1]["digest"]))) as archive:
        assert archive.getnames() == ["same", "same/f"]


# ---- files


def test_a_folder_gets_the_merged_tree(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    snapshot = two_layers(store)
    dest.mkdir()
    (dest / "kept").write_text("kept")
    outside = tmp_path / "outside"
    outside.mkdir()
    (dest / "etc").symlink_to(outside)
    export(state, store, target(snapshot), "local", dest=str(dest))
    assert (dest / "etc/name").read_text() == "two\n"
    assert not list(outside.iterdir())
    assert (dest / "kept").read_text() == "kept"
    assert (dest / "bin/tool").stat().st_nlink == 2
    assert (dest / "etc/name").stat().st_mtime == EPOCH
    export(state, store, target(snapshot), "local", dest=str(dest), mode="delete")
    assert not (dest / "kept").exists()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_platforms_get_folders_of_their_own(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    snapshot = two_layers(store)
    export(state, store, both(snapshot), "local", dest=str(tmp_path / "out"))
    assert sorted(os.listdir(tmp_path / "out")) == ["linux_amd64", "linux_arm64"]
    with pytest.raises(ExportError, match="would be one file"):
        export(state, store, both(snapshot), "local", dest=str(tmp_path / "flat"), platform_split="false")
    assert not (tmp_path / "flat").exists()


def test_deleting_what_nobody_can_mean_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for dest in ("/", ".", str(tmp_path.parent)):
        with pytest.raises(ExportError, match="mode=delete would empty"):
            open_exporter(Export("local", {"dest": dest, "mode": "delete"}))


def test_a_plain_tar(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    export(state, store, target(two_layers(store)), "tar", dest=str(tmp_path / "x.tar"))
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert archive.getnames() == ["bin", "bin/again", "bin/tool", "etc", "etc/name", "new"]
        assert archive.getmember("bin/tool").linkname == "bin/again"
        assert archive.extractfile("etc/name").read() == b"two\n"  # type: ignore[union-attr]
    export(state, store, both(two_layers(store)), "tar", dest=str(tmp_path / "y.tar"))
    with tarfile.open(tmp_path / "y.tar") as archive:
        assert {"linux_amd64/new", "linux_arm64/new"} < set(archive.getnames())


def test_standard_output(state: State, store: SnapshotStore, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    export(state, store, target(two_layers(store)), "tar", dest="-")
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as archive:
        assert "new" in archive.getnames()


def test_cacheonly_writes_nothing(state: State, store: SnapshotStore) -> None:
    assert export(state, store, target(two_layers(store)), "cacheonly") == {}
    assert state.query("SELECT * FROM blobs") == []


def test_estargz_layers_are_found_again_with_their_tables(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    image = target(two_layers(store))
    manifests = []
    for name in ("one.tar", "two.tar"):
        export(state, store, image, "oci", dest=str(tmp_path / name), compression="estargz")
        manifest, config = Layout(tmp_path / name).image()
        manifests.append(manifest)
        for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
            assert set(layer["annotations"]) == {
                "containerd.io/snapshot/stargz/toc.digest",
                "io.containers.estargz.uncompressed-size",
            }
            plain = decompressor(io.BytesIO(Layout(tmp_path / name).blob(layer["digest"]))).read(-1)
            assert sha256(plain) == diff_id
    assert manifests[0] == manifests[1]
    skopeo("copy", f"oci-archive:{tmp_path / 'one.tar'}", f"dir:{tmp_path / 'dir'}")


# ---- what makes no sense


@pytest.mark.parametrize(
    ("type", "attributes", "message", "hint"),
    [
        ("imag", {}, 'unknown output type "imag"', "did you mean image?"),
        ("image", {"puhs": "true"}, 'unknown attribute "puhs"', "did you mean push?"),
        ("image", {"push": "maybe"}, "must be true or false", ""),
        ("image", {"push": "true"}, "cannot be pushed without a name", "name=REFERENCE"),
        ("image", {"name": "a:1", "push-by-digest": "true"}, "cannot have a tag", "out of a:1"),
        ("image", {"dangling-name-prefix": "a:1"}, "cannot have a tag", "out of a:1"),
        ("image", {"name": "*"}, 'the name "*"', "write the name"),
        ("image", {"oci-artifact": "true", "oci-mediatypes": "false"}, "exclude each other", ""),
        ("image", {"compression": "gzipp"}, "unknown compression", "did you mean gzip?"),
        ("image", {"compression-level": "10"}, "levels 0 to 9", ""),
        ("image", {"compression-level": "best"}, "must be a number", ""),
        ("image", {"compression": "estargz", "oci-mediatypes": "false"}, "exclude each other", ""),
        ("image", {"annotation-indx.a": "b"}, "unknown level", "did you mean index?"),
        ("image", {"annotation-index.a": "b", "oci-mediatypes": "false"}, "only manifests", ""),
        ("oci", {"tar": "false"}, "needs a dest", "dest=FOLDER"),
        ("docker", {"tar": "false"}, "needs a dest", "dest=FOLDER"),
        ("local", {}, "needs a folder", "dest=FOLDER"),
        ("local", {"dest": "x", "mode": "mirror"}, 'no mode "mirror"', "copy, delete"),
        ("tar", {"mode": "copy"}, 'unknown attribute "mode"', ""),
        ("cacheonly", {"dest": "x"}, 'unknown attribute "dest"', ""),
        ("oci", {"dest": "x", "source-date-epoch": "now"}, "number of seconds", ""),
    ],
)
def test_attributes_that_make_no_sense(type: str, attributes: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(ExportError) as caught:
        open_exporter(Export(type, attributes))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_annotation_for_an_absent_platform_or_index(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    for key in ("annotation[linux/s390x].a", "annotation-index.a"):

        async def run(key: str = key) -> None:
            async with opened(state, store) as context:
                exporter = open_exporter(Export("oci", {"dest": str(tmp_path / "x"), key: "b"}))
                await exporter.export(target(two_layers(store)), context)

        with pytest.raises(ExportError, match="annotation"):
            trio.run(run)


def test_a_folder_in_the_way(state: State, store: SnapshotStore, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="it is a folder"):
        export(state, store, target(two_layers(store)), "oci", dest=str(tmp_path))


def test_a_full_disk_leaves_nothing_behind(state: State, store: SnapshotStore, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "old.tar").write_text("old")
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if str(tmp_path / ".old") in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(28, "No space left on device")
        return real(fd, data)

    image = target(two_layers(store))
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ExportError, match="No space left") as caught:
        export(state, store, image, "oci", dest=str(tmp_path / "old.tar"))
    assert "free some space" in caught.value.hint
    assert (tmp_path / "old.tar").read_text() == "old"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]

"""Images of a real registry as sources."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.faulty_proxy import Answer, Cut, Flip, Trick, faulty_proxy
from support.images import layer_tar, skopeo_copy, write_layout
from support.registry_server import RegistryServer

from engine import oci
from engine.digests import Digest, hex_of, sha256
from engine.errors import SourceError
from engine.llb.ops import Platform
from engine.results import Snapshot
from engine.sources.image import source_key
from engine.sources.pins import PinKind, Pins

if TYPE_CHECKING:
    from conftest import Workbench

AMD64 = Platform("amd64", "linux")
BASE = layer_tar({"opt/": b"", "opt/tool": b"one", "etc/name": b"base", "gone": b"x", "big": bytes(range(256)) * 8192})
TOP = layer_tar({"opt/more": b"two", ".wh.gone": b"", "etc/name": b"top"})


def push(registry: RegistryServer, folder: Path, name: str, layers: Sequence[bytes], *architectures: str) -> str:
    layout = write_layout(folder / name, layers, architectures=architectures or ("amd64",))
    skopeo_copy(f"oci:{layout}:latest", f"docker://{registry.host}/{name}:1")
    return f"docker-image://{registry.host}/{name}:1"


def test_keys_are_buildkits() -> None:
    chain = "sha256:42bf59c0ee45cd25204325a7c464e7b1cfa4e92aeb5286b9cfe1687f0c29f88e"
    record = sha256(f"{source_key(chain)}@0".encode())
    assert record == "sha256:1b423710fff58e234626a689930f11d054a03f415d772e0b0b5cb15cad25b91d"


def test_an_image_is_known_before_its_layers_are_here(
    registry: RegistryServer, tmp_path: Path, bench: Workbench
) -> None:
    name = push(registry, tmp_path, "known", [BASE, TOP])
    resolved = bench.resolve(name, platform=AMD64)
    chain = oci.chain_ids((sha256(BASE), sha256(TOP)))
    assert resolved.result == Snapshot(tuple(hex_of(c) for c in chain))
    assert resolved.keys[-1] == source_key(chain[-1])
    assert len(resolved.keys) == 2
    blobs = [r for r in registry.requests() if r.startswith("GET /v2/known/blobs")]
    assert len(blobs) == 1  # the config

    tree = bench.files(name, platform=AMD64)
    assert list(tree.names("/")) == ["big", "etc", "opt"]
    assert tree.open("/etc/name").read() == b"top"
    assert tree.open("/opt/tool").read() == b"one"
    assert bench.told[-1][3]


def test_a_folder_that_a_layer_does_not_mention_looks_as_below(
    registry: RegistryServer, tmp_path: Path, bench: Workbench
) -> None:
    tree = bench.files(push(registry, tmp_path, "implicit", [BASE, TOP]), platform=AMD64)
    opt = tree.lstat("/opt")
    assert opt is not None
    assert (opt.mode & 0o777, opt.uid, opt.mtime_ns) == (0o750, 7, 1_600_000_000 * 10**9)


def test_a_name_with_a_digest_needs_no_network_twice_and_a_tag_one_head(
    registry: RegistryServer, tmp_path: Path, bench: Workbench
) -> None:
    name = push(registry, tmp_path, "quiet", [BASE])
    first = bench.resolve(name, platform=AMD64)
    before = len(registry.requests())
    assert bench.resolve(f"{name}@{first.pin}", platform=AMD64) == first
    assert registry.requests()[before:] == []
    assert bench.resolve(name, platform=AMD64) == first
    assert registry.requests()[before:] == ["HEAD /v2/quiet/manifests/1"]


def test_a_name_is_asked_for_once_in_a_build(registry: RegistryServer, tmp_path: Path, bench: Workbench) -> None:
    import trio

    name = push(registry, tmp_path, "once", [BASE], "amd64", "arm64").removeprefix("docker-image://")
    before = len(registry.requests())

    async def many(context: object) -> None:
        async with trio.open_nursery() as nursery:
            for architecture in ("amd64", "arm64") * 5:
                platform = Platform(architecture, "linux")
                nursery.start_soon(context.images.resolve, name, platform)  # type: ignore[attr-defined]

    bench.run(many)
    assert sum(r.startswith("HEAD") for r in registry.requests()[before:]) == 1


def test_the_right_platform_is_chosen(registry: RegistryServer, tmp_path: Path, bench: Workbench) -> None:
    name = push(registry, tmp_path, "multi", [BASE], "amd64", "arm64")
    found = bench.run(
        lambda context: context.images.resolve(name.removeprefix("docker-image://"), Platform("arm64", "linux"))
    )
    assert found.config["architecture"] == "arm64"
    assert found.reference == f"{registry.host}/multi:1"
    with pytest.raises(SourceError, match="no image for the platform linux/s390x") as caught:
        bench.resolve(name, platform=Platform("s390x", "linux"))
    assert caught.value.hint == "it has images for: linux/amd64, linux/arm64"


def test_an_image_that_is_an_artifact_is_refused(registry: RegistryServer, tmp_path: Path, bench: Workbench) -> None:
    async def make(context: object) -> None:
        client = context.registries()  # type: ignore[attr-defined]
        empty = oci.describe(b"{}", oci.OCI_EMPTY)
        import io

        await client.push_blob(f"{registry.host}/chart:1", empty, lambda: io.BytesIO(b"{}"))
        data = oci.document_bytes(oci.Manifest(empty, (), artifact_type="application/chart"))
        await client.push_manifest(f"{registry.host}/chart:1", data, oci.OCI_MANIFEST)

    bench.run(make)
    with pytest.raises(SourceError, match="not an image but an artifact of type application/chart"):
        bench.resolve(f"docker-image://{registry.host}/chart:1", platform=AMD64)


@pytest.mark.parametrize(
    "tricks",
    [
        [None, Cut(5000), Cut(6000)],
        [Flip(3000)],
        [Answer("500 Oops"), Answer("429 Slow"), None, Flip(2000), Cut(9000)],
        [Flip(1500), Flip(2500), Flip(3500), Flip(4500)],
    ],
    ids=str,
)
def test_layers_come_whole_through_a_bad_line(
    registry: RegistryServer, tmp_path: Path, bench: Workbench, tricks: Sequence[Trick]
) -> None:
    push(registry, tmp_path, "rough", [BASE, TOP])
    with faulty_proxy(registry.port, tricks) as proxy:
        tree = bench.files(f"docker-image://{proxy.host}/rough:1", platform=AMD64)
    assert tree.open("/big").read() == bytes(range(256)) * 8192
    assert tree.open("/opt/more").read() == b"two"
    assert bench.leftovers() == []


def test_a_layer_that_is_not_what_the_config_says_is_refused(
    registry: RegistryServer, tmp_path: Path, bench: Workbench
) -> None:
    """Else it would be kept under the name of another image's layer."""
    layout = write_layout(tmp_path / "liar", [TOP])
    for path in (layout / "blobs/sha256").iterdir():
        if sha256(TOP).encode() in path.read_bytes():
            config = path.read_bytes().replace(sha256(TOP).encode(), sha256(BASE).encode())
            old = path
    new = oci.describe(config, oci.OCI_CONFIG)
    (layout / "blobs/sha256" / hex_of(new.digest)).write_bytes(config)
    index = oci.parse_document((layout / "index.json").read_bytes())
    assert isinstance(index, oci.Index)
    top = layout / "blobs/sha256" / hex_of(index.manifests[0].digest)
    data = top.read_bytes().replace(old.name.encode(), hex_of(new.digest).encode())
    manifest = oci.describe(data, oci.OCI_MANIFEST)
    (layout / "blobs/sha256" / hex_of(manifest.digest)).write_bytes(data)
    bench.folders["liar"] = layout
    with pytest.raises(SourceError, match="the image is broken"):
        bench.files(f"oci-layout://liar@{manifest.digest}", {"oci.store": "liar"}, AMD64)
    assert not (bench.state.layers / hex_of(Digest(sha256(BASE)))).exists()
    assert bench.leftovers() == []


def test_two_processes_fetch_a_layer_once(registry: RegistryServer, tmp_path: Path, bench: Workbench) -> None:
    name = push(registry, tmp_path, "shared", [BASE, TOP])
    before = len(registry.requests())
    benches = [type(bench)(bench.root) for _ in range(2)]
    for each in benches:
        each.snapshots.work.make("own")
    threads = [threading.Thread(target=b.files, args=(name, None, AMD64)) for b in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetched = [r for r in registry.requests()[before:] if r.startswith("GET /v2/shared/blobs")]
    assert len(set(fetched)) == 3
    layers = [r for r in fetched if fetched.count(r) > 1]
    assert all(r == layers[0] for r in layers)  # only the config may have been asked for twice


def test_an_image_of_the_lock_that_is_gone_is_told_with_what_its_name_means_now(
    registry: RegistryServer, tmp_path: Path, bench: Workbench
) -> None:
    now = bench.resolve(push(registry, tmp_path, "moved", [BASE]), platform=AMD64).pin
    gone, name = sha256(b"gone"), f"{registry.host}/moved:1"

    async def find(context: object) -> None:
        images = context.images  # type: ignore[attr-defined]
        images = type(images)(context.registries, bench.state, bench.blobs, Pins({(PinKind.IMAGE, name): gone}))  # type: ignore[attr-defined]
        await images.resolve(name, AMD64)

    with pytest.raises(SourceError) as caught:
        bench.run(find)
    assert str(caught.value) == f"{name} is {now} now, but {gone} in the lock"
    assert "bakery lock --update" in caught.value.hint

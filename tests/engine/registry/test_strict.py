"""The client against a registry that takes the distribution specification at its word, in all that it leaves open."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.strict_registry import StrictRegistry, check, strict_registry

from engine import oci
from engine.digests import sha256
from engine.errors import RegistryError
from engine.registry.client import Registries
from engine.registry.reference import parse
from engine.registry.referrers import referrers_tag
from tests.engine.registry.test_client import pull
from tests.engine.registry.test_lies import run

SMALL = b"small"
BIG = bytes(range(256)) * (20 << 10)  # more than goes in one PUT, and enough for a line of its own
CONFIG = oci.config_bytes(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(SMALL), sha256(BIG)]}}
)
LAYERS = (oci.describe(SMALL, oci.OCI_LAYER), oci.describe(BIG, oci.OCI_LAYER))
IMAGE = oci.document_bytes(oci.Manifest(oci.describe(CONFIG, oci.OCI_CONFIG), LAYERS))

CHOICES: list[dict[str, Any]] = [
    {},
    {"locations": "path"},
    {"locations": "relative"},
    {"ranges": False, "mounts": False},
    {"algorithm": "sha512"},
    {"referrers": False},
    {"cut_after": [1 << 20]},
    {"cut_after": [0, 1 << 20, 5], "locations": "relative"},
]


async def push_image(registries: Registries, name: str) -> oci.Descriptor:
    for data, kind in ((SMALL, oci.OCI_LAYER), (BIG, oci.OCI_LAYER), (CONFIG, oci.OCI_CONFIG)):
        await registries.push_blob(name, oci.describe(data, kind), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
    return await registries.push_manifest(name, IMAGE, oci.OCI_MANIFEST)


@pytest.mark.parametrize("choices", CHOICES, ids=lambda choices: ",".join(choices) or "as usual")
def test_an_image_goes_there_and_back(choices: dict[str, Any]) -> None:
    async def story(registries: Registries) -> None:
        name = f"{registry.host}/team/app.x__y-z:1.0"
        pushed = await push_image(registries, name)
        index = oci.document_bytes(oci.Index((pushed,)))
        await registries.push_manifest(f"{registry.host}/team/app.x__y-z:all", index, oci.OCI_INDEX)
        assert (await registries.manifest(name))[1] == IMAGE
        assert await registries.pushed(name) in (pushed.digest, None)  # told in sha512, it is not known by a HEAD
        assert [await pull(registries, name, layer) for layer in LAYERS] == [SMALL, BIG]
        assert await registries.read_start(name, LAYERS[1], 10) == BIG[:10]
        assert await registries.manifest(f"{registry.host}/team/app.x__y-z@{pushed.digest}") == (pushed, IMAGE)
        mounted = await registries.find_or_mount(f"{registry.host}/other", LAYERS[1], parse(name))
        assert mounted == registry.mounts

    with strict_registry(**choices) as registry:
        run(story)


@pytest.mark.parametrize("locations", ["absolute", "path", "relative"])
def test_an_upload_goes_on_where_the_registry_stopped(tmp_path: Path, locations: str) -> None:
    (tmp_path / "big").write_bytes(BIG)

    async def story(registries: Registries) -> None:
        await registries.push_blob(f"{registry.host}/app:1", LAYERS[1], lambda: (tmp_path / "big").open("rb"))

    with strict_registry(cut_after=[1_000_000], locations=locations) as registry:
        run(story)
    assert [asked.partition(" ")[0] for asked in registry.asked] == ["HEAD", "POST", "PATCH", "GET", "PATCH", "PUT"]
    assert registry.repositories["app"].blobs == {LAYERS[1].digest: BIG}


class Growing:
    """A blob of which nobody knows yet how long it gets."""

    length = None

    def __init__(self, file: io.BufferedReader) -> None:
        self.fd = file.fileno()

    def beyond(self, done: int) -> int:
        return min(done + 1_000_000, len(BIG))

    async def pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(BIG), 1_000_000):
            yield BIG[start : start + 1_000_000]


@pytest.mark.parametrize("locations", ["absolute", "path", "relative"])
def test_a_blob_of_unknown_size_is_streamed(tmp_path: Path, locations: str) -> None:
    (tmp_path / "big").write_bytes(BIG)

    async def story(registries: Registries) -> None:
        with (tmp_path / "big").open("rb") as file:
            await registries.push_stream(f"{registry.host}/app:1", Growing(file), lambda: LAYERS[1])

    with strict_registry(locations=locations) as registry:
        run(story)
    assert registry.repositories["app"].blobs == {LAYERS[1].digest: BIG}


async def push_statement(registries: Registries, name: str, about: oci.Descriptor, said: str) -> oci.Descriptor:
    empty, layer = oci.describe(b"{}", oci.OCI_EMPTY), oci.describe(said.encode(), "application/vnd.in-toto+json")
    for data, blob in ((b"{}", empty), (said.encode(), layer)):
        await registries.push_blob(name, blob, lambda data=data: io.BytesIO(data))  # type: ignore[misc]
    manifest = oci.Manifest(
        empty, (layer,), subject=about, artifact_type="application/vnd.example+json", annotations={"said": said}
    )
    data = oci.document_bytes(manifest)
    return await registries.push_manifest(parse(name).at(sha256(data)), data, oci.OCI_MANIFEST)


def listed(registry: StrictRegistry, about: oci.Descriptor) -> list[str]:
    """The statements under the tag for an image."""
    repository = registry.repositories["app"]
    _, data = repository.manifests[repository.tags[referrers_tag(about.digest)]]
    check("index", json.loads(data))
    return [item["annotations"]["said"] for item in json.loads(data)["manifests"]]


def test_statements_are_listed_under_a_tag_where_the_registry_does_not_list_them() -> None:
    async def story(registries: Registries) -> oci.Descriptor:
        image = await push_image(registries, f"{registry.host}/app:1")
        for said in ("one", "two", "one"):
            await push_statement(registries, f"{registry.host}/app:1", image, said)
        return image

    with strict_registry(referrers=False) as registry:
        image = run(story)
    assert listed(registry, image) == ["one", "two"]
    assert sum("/referrers/" in asked for asked in registry.asked) == 1


def test_a_registry_that_lists_statements_gets_no_tag() -> None:
    async def story(registries: Registries) -> None:
        image = await push_image(registries, f"{registry.host}/app:1")
        await push_statement(registries, f"{registry.host}/app:1", image, "one")

    with strict_registry() as registry:
        run(story)
    assert registry.repositories["app"].tags.keys() == {"1"}


def test_a_tag_that_means_something_else_is_not_overwritten_with_a_list() -> None:
    async def story(registries: Registries) -> None:
        image = await push_image(registries, f"{registry.host}/app:1")
        await push_image(registries, f"{registry.host}/app:{referrers_tag(image.digest)}")
        await push_statement(registries, f"{registry.host}/app:1", image, "one")

    with pytest.raises(RegistryError, match="should list what is said"), strict_registry(referrers=False) as registry:
        run(story)


def test_the_tag_of_a_list_is_the_specifications() -> None:
    assert referrers_tag(sha256(b"")) == "sha256-" + sha256(b"").partition(":")[2]


@pytest.mark.parametrize(
    ("kind", "data"),
    [("manifest", IMAGE), ("config", CONFIG), ("index", oci.document_bytes(oci.Index(())))],
)
def test_documents_hold_against_their_schemas(kind: str, data: bytes) -> None:
    check(kind, json.loads(data))
    with pytest.raises(jsonschema.ValidationError):
        check(kind, json.loads(data) | {"schemaVersion": 1, "rootfs": None})

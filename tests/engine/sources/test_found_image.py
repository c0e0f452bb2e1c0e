"""Which image a name means for a platform: documents that other tools wrote, and such as are odd but allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from engine import oci, platforms
from engine.digests import Digest, sha256
from engine.errors import SourceError
from engine.llb.ops import Platform
from engine.sources.found_image import FoundImage, find_image

# Documents that `crane` wrote (append, mutate, index append, flatten, rebase), and what it itself takes them for.
CRANE = json.loads((Path(__file__).parents[2] / "data" / "crane.json").read_bytes())
AMD64 = Platform("amd64", "linux")


class Kept:
    """Documents by their digest; counts what is asked for."""

    def __init__(self, documents: Mapping[str, bytes] = {}) -> None:
        self._documents = dict(documents)
        self.asked = 0

    def put(self, document: Mapping[str, Any], **described: Any) -> dict[str, Any]:
        """Keeps a document; gives its descriptor."""
        data = json.dumps(document).encode()
        self._documents[sha256(data)] = data
        kind = document.get("mediaType", oci.OCI_CONFIG)
        return {"mediaType": kind, "digest": sha256(data), "size": len(data)} | described

    async def document(self, digest: Digest, media_type: str) -> bytes:
        self.asked += 1
        return self._documents[digest]

    async def config(self, blob: oci.Descriptor) -> bytes:
        return self._documents[blob.digest]

    def image(self, architecture: str = "amd64", **fields: Any) -> dict[str, Any]:
        """The descriptor of an image without layers."""
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        return self.put(
            {"schemaVersion": 2, "mediaType": oci.OCI_MANIFEST, "config": self.put(config), "layers": []} | fields
        )

    def index(self, *entries: Mapping[str, Any]) -> dict[str, Any]:
        """The descriptor of an index."""
        return self.put({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": entries})

    def find(self, root: Mapping[str, Any], platform: Platform = AMD64) -> FoundImage:
        """What `FROM` would take."""
        return trio.run(find_image, "app", Digest(root["digest"]), platform, self)


def on(descriptor: Mapping[str, Any], platform: str) -> dict[str, Any]:
    """An entry of an index, with its platform."""
    return {**descriptor, "platform": oci.platform_fields(platforms.parse(platform))}


@pytest.mark.parametrize("name", CRANE["images"])
def test_what_crane_wrote_means_what_crane_says(name: str) -> None:
    kept = Kept({digest: text.encode() for digest, text in CRANE["documents"].items()})
    said = CRANE["images"][name]
    for platform, manifest in said["images"].items():
        found = kept.find({"digest": said["root"]}, platforms.parse(platform))
        assert found.manifest_digest == manifest
        assert len(found.diff_ids) == len(found.manifest.layers) > 0


def test_indexes_in_an_index_are_looked_into(kept: Kept) -> None:
    arm, amd = kept.image("arm64"), kept.image()
    root = kept.index(kept.index(on(arm, "linux/arm64")), kept.index(kept.index(amd)))
    assert kept.find(root).manifest_digest == amd["digest"]
    assert kept.find(root, Platform("arm64", "linux")).manifest_digest == arm["digest"]
    with pytest.raises(SourceError, match="no image for the platform linux/s390x") as caught:
        kept.find(root, Platform("s390x", "linux"))
    assert caught.value.hint == "it has images for: linux/amd64, linux/arm64"


def test_an_index_with_a_platform_is_entered_only_for_that(kept: Kept) -> None:
    amd = kept.image()
    root = kept.index(
        on(kept.index(kept.image("arm64")), "linux/arm64"), on(kept.index(on(amd, "linux/amd64")), "linux/amd64")
    )
    assert kept.find(root).manifest_digest == amd["digest"]
    assert kept.asked == 3


def test_the_config_decides_what_an_image_is(kept: Kept) -> None:
    image = kept.image(artifactType="application/vnd.example.app")
    assert kept.find(image).manifest_digest == image["digest"]
    chart = kept.image(config={**kept.put({}), "mediaType": "application/vnd.cncf.helm.config.v1+json"})
    with pytest.raises(SourceError, match=r"an artifact of type application/vnd\.cncf\.helm\.config"):
        kept.find(chart)


def test_artifacts_of_an_index_are_not_taken_for_its_image(kept: Kept) -> None:
    empty = {**kept.put({}), "mediaType": oci.OCI_EMPTY}
    said = kept.image(artifactType="application/x", config=empty)
    image = kept.image()
    named = {**said, "artifactType": "application/x"}
    assert kept.find(kept.index(on(named, "linux/amd64"), on(image, "linux/amd64"))).manifest_digest == image["digest"]
    assert kept.find(kept.index(said, image)).manifest_digest == image["digest"]
    with pytest.raises(SourceError, match="no image for"):
        kept.find(kept.index(said))


def test_entries_of_unknown_kinds_are_passed_over(kept: Kept) -> None:
    image = kept.image()
    other = {**kept.put({"x": 1}), "mediaType": "application/x-thing"}
    assert kept.find(kept.index(on(other, "linux/amd64"), image)).manifest_digest == image["digest"]


def test_an_index_that_names_itself_a_thousandfold_ends_in_an_error(kept: Kept) -> None:
    inner = kept.index()
    for _ in range(oci.MAX_DEPTH - 2):
        inner = kept.index(*[inner] * 50)
    with pytest.raises(SourceError, match="too much below it"):
        kept.find(inner)
    assert kept.asked <= oci.MAX_DOCUMENTS + 1


@pytest.fixture
def kept() -> Kept:
    return Kept()

"""Everything that is pushed, in every form, passes a registry that takes the OCI specifications at their word."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from support.strict_registry import strict_registry

from engine import oci
from engine.errors import RegistryError
from engine.exporters.contract import Export
from engine.registry.client import Registries
from engine.registry.referrers import referrers_tag
from engine.snapshots.store import SnapshotStore
from engine.state import State
from tests.engine.exporters.test_exporters import AMD64, ARM64
from tests.engine.exporters.test_oci_rules import FORMS, STATEMENTS, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = State.open(tmp_path / "state")
    store = SnapshotStore(state)
    yield World(state, store)
    store.close()
    state.close()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_image_is_taken(world: World, form: str) -> None:
    with strict_registry() as registry:
        names = {"name": f"{registry.host}/shop/app:1,{registry.host}/shop/app:2"}
        world.export(world.target(AMD64, ARM64), Export("image", {"push": "true", **FORMS[form], **names}))
        assert set(registry.repositories["shop/app"].tags) == {"1", "2"}
        assert len(registry.repositories["shop/app"].manifests) == 3


@pytest.mark.parametrize("referrers", [True, False], ids=["with referrers", "without referrers"])
@pytest.mark.parametrize("artifact", ["true", "false"], ids=["artifacts", "images"])
def test_statements_are_taken_and_found_by_what_they_are_about(world: World, artifact: str, referrers: bool) -> None:
    with strict_registry(referrers=referrers) as registry:
        image = world.target(AMD64, ARM64, attests=STATEMENTS)
        attributes = {"name": f"{registry.host}/app:1", "push": "true", "oci-artifact": artifact}
        world.export(image, Export("image", attributes))
    repository = registry.repositories["app"]
    index = json.loads(repository.manifests[repository.tags["1"]][1])
    images = [entry["digest"] for entry in index["manifests"] if entry["platform"]["os"] == "linux"]
    lists = {referrers_tag(digest) for digest in images} if artifact == "true" and not referrers else set()
    assert set(repository.tags) == {"1"} | lists


def test_a_config_that_is_none_is_found() -> None:
    config = oci.config_bytes({"architecture": "", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    blob = oci.describe(config, oci.OCI_CONFIG)
    data = oci.document_bytes(oci.Manifest(blob, (blob,)))

    async def push(name: str) -> None:
        async with Registries(environ={"DOCKER_CONFIG": "/none"}) as registries:
            await registries.push_blob(name, blob, lambda: io.BytesIO(config))
            await registries.push_manifest(name, data, oci.OCI_MANIFEST)

    with pytest.raises(RegistryError, match="the config does not hold"), strict_registry() as registry:
        trio.run(push, f"{registry.host}/app:1")

"""Pushes over lines that cut, delay, change and refuse: what the registry has afterwards is right, or nothing."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from support.faulty_proxy import Answer, Cut, CutUpload, Trick, faulty_proxy
from support.patience import PATIENCE
from support.registry_server import RegistryServer, registry_server

from engine import oci
from engine.errors import RegistryError
from engine.registry.client import Registries
from engine.registry.retry import Patience

QUICK = Patience(attempts=5, first=0.01, longest=0.05, silence=2.0, connect=2.0)
SIZE = 3 << 20


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


def push(host: str, name: str, layer: bytes) -> bool:
    """Whether an image of one layer could be pushed; if not, with an error of ours."""
    config = oci.config_bytes({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    blobs = {oci.describe(layer, oci.OCI_LAYER): layer, oci.describe(config, oci.OCI_CONFIG): config}
    first, second = blobs
    manifest = oci.document_bytes(oci.Manifest(second, (first,)))

    async def run() -> bool:
        async with Registries(environ={"DOCKER_CONFIG": "/none"}, patience=QUICK) as registries:
            with trio.fail_after(PATIENCE):
                try:
                    for blob, data in blobs.items():
                        await registries.push_blob(f"{host}/{name}:1", blob, lambda data=data: io.BytesIO(data))  # type: ignore[misc]
                    await registries.push_manifest(f"{host}/{name}:1", manifest, oci.OCI_MANIFEST)
                except RegistryError:
                    return False
                return True

    return trio.run(run)


def there(registry: RegistryServer, name: str) -> bytes | None:
    """The layer of a pushed image, as the registry itself gives it; None if there is no such image."""

    async def run() -> bytes | None:
        async with Registries(environ={"DOCKER_CONFIG": "/none"}, patience=QUICK) as registries:
            reference = f"{registry.host}/{name}:1"
            if await registries.pushed(reference) is None:
                return None
            _, data = await registries.manifest(reference)
            manifest = oci.parse_document(data)
            assert isinstance(manifest, oci.Manifest)
            await registries.small_blob(reference, manifest.config, 1 << 20)
            return await registries.small_blob(reference, manifest.layers[0], 1 << 30)

    return trio.run(run)


@pytest.mark.parametrize("seed", range(8))
def test_random_bad_days(registry: RegistryServer, seed: int) -> None:
    dice = random.Random(seed)
    layer = dice.randbytes(SIZE)
    choices: list[Trick] = [None, None, CutUpload(dice.randrange(SIZE)), CutUpload(0), Cut(dice.randrange(600))]
    choices += [Answer("500 Internal Server Error"), Answer("429 Too Many Requests", "Retry-After: 0\r\n")]
    with faulty_proxy(registry.port, [dice.choice(choices) for _ in range(60)]) as proxy:
        pushed = push(proxy.host, f"bad-{seed}", layer)
    found = there(registry, f"bad-{seed}")
    assert found == layer if pushed else found in (None, layer)


def test_a_line_that_is_cut_again_and_again_ends_in_an_error(registry: RegistryServer, tmp_path: Path) -> None:
    with faulty_proxy(registry.port, [CutUpload(100)] * 500) as proxy:
        assert not push(proxy.host, "never", random.Random(99).randbytes(SIZE))
    assert there(registry, "never") is None

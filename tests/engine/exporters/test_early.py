"""Big layers are sent while they are packed; what a registry has is not sent, early or late."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from engine.archive.errors import ArchiveError
from engine.blobs import BlobStore
from engine.errors import EngineError, RegistryError
from engine.exporters import early, open_exporter
from engine.exporters.context import ExportContext
from engine.exporters.contract import Export, PlatformImage, TargetImage
from engine.llb.ops import Platform
from engine.registry.client import Registries
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.state import State
from tests.support.http_proxy import http_proxy
from tests.support.images import skopeo_copy
from tests.support.registry_server import RegistryServer, registry_server

CONFIG = {"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "COPY big"}]}
SIZE = 3 << 20


@pytest.fixture(autouse=True)
def a_megabyte_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "LEAST", 1 << 20)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


def push(folder: Path, name: str, *, seed: int) -> str:
    """Pushes one layer of random bytes from a state folder of its own; the image's digest."""
    state = State.open(folder)
    store = SnapshotStore(state)
    with store.new_layer(Snapshot()) as new:
        file = new.path / "big"
        file.write_bytes(random.Random(seed).randbytes(SIZE))
        os.utime(file, (1_600_000_000, 1_600_000_000))
        snapshot = new.commit("a step")
    target = TargetImage("app", (PlatformImage("linux/amd64", Platform("amd64", "linux"), snapshot, CONFIG),), epoch=1)

    async def run() -> str:
        async with Registries(environ={}) as registries:
            context = ExportContext(state, store, BlobStore(state), lambda: registries, lambda *_: None)
            result = await open_exporter(Export("registry", {"name": name})).export(target, context)
            return result.metadata["containerimage.digest"]

    try:
        return trio.run(run)
    finally:
        store.close()
        state.close()


class Sending:
    """What the registry was sent since."""

    def __init__(self, registry: RegistryServer) -> None:
        self._registry = registry
        self._before = len(registry.requests())

    @property
    def uploads(self) -> int:
        return sum(line.startswith("PATCH") for line in self._registry.requests()[self._before :])


def test_into_an_empty_repository_a_layer_goes_while_it_is_packed(registry: RegistryServer, tmp_path: Path) -> None:
    name, sending = f"{registry.host}/empty", Sending(registry)
    push(tmp_path / "one", f"{name}:1", seed=1)
    assert sending.uploads == 1
    asked = registry.requests()
    # Nobody could ask for the blob before: its digest was not known.
    first_look = next(i for i, line in enumerate(asked) if line.startswith("HEAD /v2/empty/blobs/"))
    assert next(i for i, line in enumerate(asked) if line.startswith("PATCH /v2/empty/")) < first_look
    skopeo_copy(f"docker://{name}:1", f"oci:{tmp_path / 'layout'}:x")


def test_a_layer_that_the_registry_has_is_not_sent(registry: RegistryServer, tmp_path: Path) -> None:
    name = f"{registry.host}/known"
    first = push(tmp_path / "one", f"{name}:1", seed=1)
    sending = Sending(registry)
    assert push(tmp_path / "two", f"{name}:1", seed=1) == first
    assert push(tmp_path / "three", f"{name}:another", seed=1) == first
    assert sending.uploads == 0


def test_a_layer_that_begins_otherwise_is_sent_early(registry: RegistryServer, tmp_path: Path) -> None:
    name = f"{registry.host}/changing"
    first = push(tmp_path / "one", f"{name}:1", seed=1)
    sending = Sending(registry)
    assert push(tmp_path / "two", f"{name}:1", seed=2) != first
    assert sending.uploads == 1
    skopeo_copy(f"docker://{name}:1", f"oci:{tmp_path / 'layout'}:x")


def test_behind_a_proxy_a_layer_goes_while_it_is_packed_too(
    registry: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    name, sending = f"{registry.host}/proxied", Sending(registry)
    with http_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        push(tmp_path / "one", f"{name}:1", seed=1)
        monkeypatch.delenv("HTTP_PROXY")
    assert sending.uploads == 1
    assert any(line.startswith(f"PATCH http://{registry.host}/v2/proxied/") for line in proxy.asked)
    skopeo_copy(f"docker://{name}:1", f"oci:{tmp_path / 'layout'}:x")


def test_what_cannot_be_sent_early_is_sent_after(
    registry: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise RegistryError("no", status=403)

    monkeypatch.setattr(Registries, "push_stream", refuse)
    name, sending = f"{registry.host}/refusing", Sending(registry)
    push(tmp_path / "one", f"{name}:1", seed=1)
    assert sending.uploads == 1
    skopeo_copy(f"docker://{name}:1", f"oci:{tmp_path / 'layout'}:x")


def test_a_layer_that_cannot_be_packed_is_told_and_nothing_is_pushed(
    registry: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.archive.tar_writer import TarWriter

    def fail(self: TarWriter) -> None:
        raise ArchiveError("the file changed while it was read")

    monkeypatch.setattr(TarWriter, "close", fail)
    with pytest.raises(EngineError, match="changed while it was read"):
        push(tmp_path / "one", f"{registry.host}/broken:1", seed=1)
    assert not [line for line in registry.requests() if line.startswith("PUT /v2/broken/")]


def test_a_registry_that_is_not_there_is_told_as_ever(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be reached"):
        push(tmp_path / "one", "localhost:1/nobody:1", seed=1)

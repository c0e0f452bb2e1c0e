"""Big files go into an upload by a line of their own; where that cannot be, or fails, they go the usual way."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from support.faulty_proxy import Answer, Cut, CutUpload, Silence, Trick, faulty_proxy
from support.http_proxy import http_proxy
from support.registry_server import RegistryServer, registry_server

from engine import oci
from engine.errors import RegistryError
from engine.registry.client import Registries
from engine.registry.credentials import CredentialStore
from engine.registry.retry import Patience
from engine.registry.settings import HostSettings, RegistrySettings
from tests.engine.registry.test_client import client, run
from tests.engine.registry.test_ways import certificates

SIZE = 5 << 20
QUICK = Patience(attempts=5, first=0.01, longest=0.05, silence=2.0, connect=2.0)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the kernel moved from a file to a socket, call by call."""
    counts: list[int] = []
    sendfile = os.sendfile

    def counting(to: int, fd: int, start: int, count: int) -> int:
        counts.append(sendfile(to, fd, start, count))
        return counts[-1]

    monkeypatch.setattr(os, "sendfile", counting)
    return counts


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("guarded"), auth=True) as server:
        yield server


def big_file(folder: Path, seed: int = 0) -> Path:
    path = folder / f"big-{seed}"
    path.write_bytes(random.Random(seed).randbytes(SIZE))
    return path


def push_file(name: str, path: Path, registries: Registries | None = None) -> bool:
    """Pushes a file as a blob; whether the registry then gives just that back."""
    data = path.read_bytes()
    blob = oci.describe(data, oci.OCI_LAYER)
    told: list[int] = []

    async def story(registries: Registries) -> bool:
        await registries.push_blob(name, blob, lambda: path.open("rb"), sent=told.append)
        return await registries.small_blob(name, blob, SIZE) == data

    same = run(story, registries)
    assert told[-1] == SIZE
    return same


def test_the_kernel_moves_a_file_from_the_disk_to_the_registry(
    registry: RegistryServer, tmp_path: Path, sent: list[int]
) -> None:
    assert push_file(f"{registry.host}/kernel", big_file(tmp_path))
    assert sum(sent) == SIZE
    assert sum(line.startswith("PATCH /v2/kernel/") for line in registry.requests()) == 1


def test_tls_encrypts_it_on_the_way(tmp_path: Path, sent: list[int]) -> None:
    certificates(tmp_path)
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    with registry_server(tmp_path / "registry", certificate=certificate, key=key) as registry:
        settings = RegistrySettings({registry.host: HostSettings(ca=tmp_path / "ca.pem")})
        assert push_file(f"{registry.host}/app", big_file(tmp_path), client(settings))
        assert sum(line.startswith("PATCH /v2/app/") for line in registry.requests()) == 1
    assert not sent


def test_it_says_who_we_are(guarded: RegistryServer, tmp_path: Path, sent: list[int]) -> None:
    login = {"auths": {guarded.host: {"username": "tester", "password": "secret"}}}
    (tmp_path / "config.json").write_text(json.dumps(login))
    registries = Registries(RegistrySettings(), CredentialStore({"DOCKER_CONFIG": str(tmp_path)}), QUICK)
    assert push_file(f"{guarded.host}/mine", big_file(tmp_path), registries)
    assert sum(sent) == SIZE


def test_behind_a_proxy_it_goes_the_usual_way(
    registry: RegistryServer, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert push_file(f"{registry.host}/proxied", big_file(tmp_path))
    assert not sent
    assert any(line.startswith(f"PATCH http://{registry.host}/v2/proxied/") for line in proxy.asked)


def test_what_a_line_is_refused_the_client_tries_again(registry: RegistryServer, tmp_path: Path) -> None:
    refusals: list[Trick] = [None, Answer("403 Forbidden")]
    with faulty_proxy(registry.port, refusals) as proxy:
        assert push_file(f"{proxy.host}/refused", big_file(tmp_path))


def test_a_cut_upload_goes_on_where_the_registry_stopped(
    registry: RegistryServer, tmp_path: Path, sent: list[int]
) -> None:
    with faulty_proxy(registry.port, [None, CutUpload(3 << 20)]) as proxy:
        assert push_file(f"{proxy.host}/cut", big_file(tmp_path))
    assert sent
    assert sum(line.startswith("PATCH /v2/cut/") for line in registry.requests()) == 2


@pytest.mark.parametrize("seed", range(6))
def test_random_bad_days(registry: RegistryServer, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    tricks: list[Trick] = [None, None, CutUpload(dice.randrange(SIZE)), Cut(dice.randrange(600))]
    tricks += [Answer("500 Internal Server Error"), Answer("401 Unauthorized"), Answer("202 Accepted")]
    path, registries = big_file(tmp_path, seed), Registries(RegistrySettings(), CredentialStore({}), QUICK)
    with faulty_proxy(registry.port, [dice.choice(tricks) for _ in range(60)]) as proxy, suppress(RegistryError):
        assert push_file(f"{proxy.host}/bad-{seed}", path, registries)


def test_a_registry_that_falls_silent_does_not_hold_up_a_cancelled_push(
    registry: RegistryServer, tmp_path: Path
) -> None:
    path = big_file(tmp_path, 7)
    blob = oci.describe(path.read_bytes(), oci.OCI_LAYER)

    async def story(registries: Registries) -> bool:
        with trio.move_on_after(0.3) as scope:
            await registries.push_blob(name, blob, lambda: path.open("rb"))
        return scope.cancelled_caught

    patient = Registries(RegistrySettings(), CredentialStore({}), Patience(silence=100_000.0))
    with faulty_proxy(registry.port, [None, *[Silence()] * 50]) as proxy:
        name = f"{proxy.host}/silent"
        assert run(story, patient)

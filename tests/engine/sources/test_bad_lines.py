"""Big layers over lines that cut, delay, change and refuse: the right files, or a clear error, and never for ever."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.faulty_proxy import Answer, Cut, Flip, Silence, Trick, faulty_proxy
from support.images import layer_tar, skopeo_copy, write_layout
from support.registry_server import RegistryServer

from engine.errors import SourceError

if TYPE_CHECKING:
    from conftest import Workbench

SIZE = 6 << 20
CONTENT = random.Random(7).randbytes(SIZE)
SLOW = Answer("429 Too Many Requests", "Retry-After: 0\r\n")
BROKEN = Answer("500 Internal Server Error")
DENIED = Answer("401 Unauthorized")


@pytest.fixture(scope="module")
def image(registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    layout = write_layout(tmp_path_factory.mktemp("image"), [layer_tar({"big": CONTENT}), layer_tar({"small": b"s"})])
    skopeo_copy(f"oci:{layout}:latest", f"docker://{registry.host}/big:1")
    return "big:1"


def pulled(bench: Workbench, host: str, image: str) -> bool:
    """Whether the image came; if not, with an error of ours. What came is right."""
    try:
        tree = bench.files(f"docker-image://{host}/{image}")
    except SourceError:
        return False
    with tree.open("/big") as file:
        assert file.read() == CONTENT
    return True


def test_a_big_layer_comes_over_a_connection_of_its_own(registry: RegistryServer, image: str, bench: Workbench) -> None:
    before = len(registry.requests())
    assert pulled(bench, registry.host, image)
    asked = [line for line in registry.requests()[before:] if line.startswith("GET") and "/blobs/" in line]
    assert len(asked) == 4, "the config, the small layer, and the big one twice: its first byte, and all of it"
    assert bench.told[-1][3]


@pytest.mark.parametrize("at", [0, 100, 1 << 20, SIZE - 10])
def test_a_cut_is_mended(registry: RegistryServer, image: str, bench: Workbench, at: int) -> None:
    # The first connection carries manifests, configs and the first byte, the next the big layer or the small one.
    tricks: list[Trick] = [None, Cut(at), Cut(at), Cut(3 << 20)]
    with faulty_proxy(registry.port, tricks) as proxy:
        assert pulled(bench, proxy.host, image)
    assert bench.leftovers() == []


def test_a_changed_byte_is_noticed_and_the_layer_fetched_again(
    registry: RegistryServer, image: str, bench: Workbench
) -> None:
    with faulty_proxy(registry.port, [None, Flip(3 << 20), Flip(3 << 20)]) as proxy:
        assert pulled(bench, proxy.host, image)
        assert proxy.connections > 2


def test_a_line_that_always_changes_bytes_gives_an_error(
    registry: RegistryServer, image: str, bench: Workbench
) -> None:
    with faulty_proxy(registry.port, [None, *([Flip(2 << 20, 1 << 20)] * 200)]) as proxy:
        assert not pulled(bench, proxy.host, image)
    assert bench.leftovers() == []


@pytest.mark.parametrize("trick", [SLOW, BROKEN, DENIED, Silence()])
def test_a_refusal_in_the_middle(registry: RegistryServer, image: str, bench: Workbench, trick: Trick) -> None:
    with faulty_proxy(registry.port, [None, trick, Cut(2 << 20), trick]) as proxy:
        assert pulled(bench, proxy.host, image)


def test_a_registry_that_goes_away(registry: RegistryServer, image: str, bench: Workbench) -> None:
    with faulty_proxy(registry.port, [None, *([Cut(2 << 20)] * 1), *([Cut(0)] * 500)]) as proxy:
        came = pulled(bench, proxy.host, image)
    assert not came
    assert bench.leftovers() == []


@pytest.mark.parametrize("seed", range(6))
def test_random_bad_days(registry: RegistryServer, image: str, bench: Workbench, seed: int) -> None:
    """Whatever happens: what comes is right, what fails says so, and it ends (the workbench gives up after 30 s)."""
    dice = random.Random(seed)
    choices: list[Trick] = [None, None, None, Cut(dice.randrange(SIZE)), Flip(dice.randrange(SIZE)), SLOW, BROKEN]
    choices += [DENIED, Cut(0)]
    with faulty_proxy(registry.port, [dice.choice(choices) for _ in range(100)]) as proxy:
        pulled(bench, proxy.host, image)
    assert bench.leftovers() == []
    # Afterwards, on a good day, nothing of it is left to harm.
    with faulty_proxy(registry.port, []) as proxy:
        assert pulled(bench, proxy.host, image)


def test_nothing_unverified_stays(registry: RegistryServer, image: str, bench: Workbench, tmp_path: Path) -> None:
    with faulty_proxy(registry.port, [None, *([Flip(1 << 20, 64 << 10)] * 200)]) as proxy:
        assert not pulled(bench, proxy.host, image)
    for (digest,) in bench.state.query("SELECT digest FROM blobs"):
        bench.blobs.read(digest, 1 << 30)

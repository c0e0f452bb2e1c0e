"""What pushing needs is loaded while steps run, and not at all where nothing is pushed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from engine import ahead
from engine.engine import Engine
from engine.exporters.contract import Export
from engine.request import BuildRequest, Wanted


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(ahead, "import_module", names.append)
    return names


def request(*exports: Export) -> BuildRequest:
    return BuildRequest({}, (Wanted("app", (), exports=exports),))


@pytest.mark.parametrize(
    "export", [Export("registry", {}), Export("image", {"push": "true"})], ids=["registry", "image,push=true"]
)
def test_a_push_finds_the_http_client_loaded(export: Export, loaded: list[str]) -> None:
    with ahead.loading_ahead(request(Export("cacheonly", {}), export)):
        pass
    assert "httpx2" in loaded


@pytest.mark.parametrize("exports", [(), (Export("oci", {"dest": "x"}),), (Export("image", {"push": "false"}),)])
def test_what_is_not_pushed_loads_nothing(exports: tuple[Export, ...], loaded: list[str]) -> None:
    with ahead.loading_ahead(request(*exports)):
        pass
    assert loaded == []


def test_the_engine_loads_it_while_it_solves(tmp_path: Path, loaded: list[str]) -> None:
    async def solve() -> None:
        async with Engine.open(tmp_path) as engine:
            await engine.solve(request(Export("registry", {"name": "localhost:1/app"})))

    trio.run(solve)
    assert "httpx2" in loaded


def test_what_cannot_be_loaded_is_left_to_whoever_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(ahead, "import_module", missing)
    with ahead.loading_ahead(request(Export("registry", {}))):
        pass

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.registry_server import RegistryServer, registry_server


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server

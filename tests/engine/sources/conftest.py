from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from support.patience import PATIENCE
from support.registry_server import RegistryServer, registry_server

from engine.blobs import BlobStore
from engine.llb.definition import Vertex
from engine.llb.ops import Platform, SourceOp
from engine.registry.client import Registries
from engine.registry.credentials import CredentialStore
from engine.registry.retry import Patience
from engine.registry.settings import RegistrySettings
from engine.request import Secret
from engine.results import Snapshot
from engine.snapshots.store import SnapshotStore
from engine.sources.contract import Resolved, Timed
from engine.sources.opening import SourceContext, open_source
from engine.state import State
from engine.tree import Tree

T = TypeVar("T")
QUICK = Patience(attempts=4, first=0.01, longest=0.05, silence=1.0, connect=2.0)
AMD64 = Platform("amd64", "linux")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


@dataclass
class Workbench:
    """A state folder, and what it takes to open sources on it. Each `run` is like a process of its own."""

    root: Path
    folders: dict[str, Path] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    told: list[tuple[str, int, int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = State.open(self.root)
        self.blobs = BlobStore(self.state)
        self.snapshots = SnapshotStore(self.state)

    def run(self, work: Callable[[SourceContext], Awaitable[T]]) -> T:
        async def main() -> T:
            async with Registries(RegistrySettings(), CredentialStore({"DOCKER_CONFIG": "/none"}), QUICK) as registries:
                context = SourceContext(self.state, self.snapshots, self.blobs, lambda: registries, self.folders)
                with trio.fail_after(PATIENCE):
                    return await work(context)

        return trio.run(main)

    def resolve(
        self, identifier: str, attrs: Mapping[str, str] | None = None, platform: Platform | None = None
    ) -> Resolved:
        vertex = Vertex.make(SourceOp(identifier, dict(attrs or {})), platform=platform)
        return self.run(lambda context: open_source(vertex, context, self.secrets).resolve())

    def files(self, identifier: str, attrs: Mapping[str, str] | None = None, platform: Platform | None = None) -> Tree:
        """The tree of a source, brought here."""
        vertex = Vertex.make(SourceOp(identifier, dict(attrs or {})), platform=platform)

        async def bring(context: SourceContext) -> Snapshot:
            result = (await open_source(vertex, context, self.secrets).resolve()).result
            assert isinstance(result, Snapshot)
            await self.snapshots.ensure(result, lambda *part: self.told.append(part))
            return result

        return self.snapshots.tree(self.run(bring))

    def time(self, identifier: str, attrs: Mapping[str, str] | None = None) -> int | None:
        """When a source is from."""
        vertex = Vertex.make(SourceOp(identifier, dict(attrs or {})))

        async def ask(context: SourceContext) -> int | None:
            source = open_source(vertex, context)
            assert isinstance(source, Timed)
            return await source.time()

        return self.run(ask)

    def leftovers(self) -> list[Path]:
        """Unfinished work that lies about."""
        return [p for p in self.state.work.rglob("*") if p.is_file() and p.name != "lock"]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "state")

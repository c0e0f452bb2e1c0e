"""Whatever comes out differently in a build from nothing is affected, and a watch sees it.

Projects and changes are made by chance from the seeds below; `BAKERY_SEEDS=100-200` tries others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from support.git import commit, git
from support.images import busybox_layout
from support.random_project import BASE, RandomProject

from bakery import config
from bakery.config.request import LoadRequest
from bakery.config.target import Project
from bakery.graph.affected import States, find_affected
from bakery.graph.build import BuildOptions, run_build
from bakery.graph.fingerprints import project_fingerprints
from engine.request import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.root]
CHANGES = 6


def seeds() -> Iterable[int]:
    first, _, last = os.environ.get("BAKERY_SEEDS", "1-4").partition("-")
    return range(int(first), int(last or first) + 1)


class Repository:
    """A project in git, and what builds and questions make of it."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self._builds = 0

    def request(self) -> LoadRequest:
        plain = ("*.output=type=oci,dest=/dev/null,rewrite-timestamp=true", "*.args.SOURCE_DATE_EPOCH=0")
        return LoadRequest(
            files=("variables.hcl", "docker-bake.hcl"), overrides=plain, env={}, cwd=self.folder, allow=("fs=*",)
        )

    def load(self) -> Project:
        return config.load(self.request())

    def options(self, root: str) -> BuildOptions:
        return BuildOptions(root=self.root / root, cwd=self.folder)

    def commit(self) -> None:
        git(self.folder, "init", "-q")
        commit(self.folder)

    def digests(self) -> dict[str, str | None]:
        """What a build that knows nothing makes of each target; None where it fails."""
        self._builds += 1
        result = run_build(self.load(), self.options(f"build-{self._builds}"), lambda event: None)
        well = (Outcome.SUCCEEDED, Outcome.CACHED)
        return {
            name: target.metadata["containerimage.digest"] if target.outcome in well else None
            for name, target in result.targets.items()
        }

    def seen(self) -> Mapping[str, str | None]:
        """What a watch goes by."""
        return project_fingerprints(self.load(), self.options("asking")).targets

    def affected(self) -> set[str]:
        return set(find_affected(self.request(), self.options("asking"), States("HEAD")))


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busybox_layout(tmp_path_factory.mktemp("busybox") / "layout")


@pytest.mark.parametrize("seed", seeds())
def test_nothing_is_missed_and_little_is_named_in_vain(seed: int, tmp_path: Path, busybox: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(busybox, folder / BASE)
    project = RandomProject(folder, seed)
    repository = Repository(folder, tmp_path / "roots")
    repository.commit()
    before, seen = repository.digests(), repository.seen()
    named = vain = 0
    for _ in range(CHANGES):
        what = f"seed {seed}: {project.change()}"
        after, sees, affected = repository.digests(), repository.seen(), repository.affected()
        print(what, {n: (before[n], after[n]) for n in after if before[n] != after[n]}, affected)
        # What fails may do so for another reason each time.
        changed = {name for name, digest in after.items() if digest is None or digest != before[name]}
        assert changed <= affected, what
        assert changed <= {name for name, key in sees.items() if key is None or key != seen[name]}, what
        named += len(affected)
        vain += len(affected - changed)
        before, seen = after, sees
        repository.commit()
    print(f"seed {seed}: {vain} of {named} named in vain")
    assert vain <= max(3, named // 3)

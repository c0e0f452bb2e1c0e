"""Builds and prunes killed at any moment: what was finished is kept, nothing is broken, and the next build is right."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import busybox_layout
from support.killable import KILLED, Killable

from engine.cache.repair import Kind, examine

pytestmark = pytest.mark.root

DOCKERFILE = """
FROM base AS tools
RUN echo tools > /tools
FROM tools AS fresh
COPY round.txt /round.txt
RUN --mount=type=cache,target=/cache date >> /cache/dates; cat /round.txt /tools > /made
FROM scratch AS many
COPY files/ /files/
COPY round.txt /files/round.txt
COPY --from=fresh /made /made
FROM fresh AS linked
COPY --link files/f1 /linked
COPY --from=many /files /again
"""
OUTPUTS = {
    "many": "type=local,dest=out-many",
    "linked": "type=oci,dest=linked.tar",
    "fresh": "type=local,dest=out-fresh",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "files").mkdir(parents=True)
    for number in range(20):
        (folder / "files" / f"f{number}").write_bytes(os.urandom(50_000 if number % 5 else 1_000_000))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    busybox_layout(folder / "base")
    targets = {
        name: {"target": name, "contexts": {"base": "oci-layout://base"}, "output": [output]}
        for name, output in OUTPUTS.items()
    }
    (folder / "docker-bake.json").write_text(
        json.dumps({"group": {"default": {"targets": [*targets]}}, "target": targets})
    )
    (folder / "bakery.toml").write_text('[[gcpolicy]]\nmax-used-space = "20MB"\n')
    return folder


@pytest.fixture
def bakery(project: Path, tmp_path: Path) -> Iterator[Killable]:
    killable = Killable(project, tmp_path / "root")
    yield killable
    killable.close()


def begin_round(project: Path, number: int) -> None:
    """Something to do for the next build."""
    (project / "round.txt").write_text(f"{number}\n")
    for name in ("out-many", "out-fresh"):
        shutil.rmtree(project / name, ignore_errors=True)


def check_state(root: Path) -> None:
    """Every record is complete and every blob sound; rubbish is allowed, for nobody had the time to clear it away."""
    wrong = [
        finding
        for finding in examine(root)
        if finding.kind is not Kind.LEFTOVERS and "not recorded" not in finding.text
    ]
    assert not wrong


def check_build(bakery: Killable, project: Path, number: int) -> None:
    """A build that nobody kills works, gives what it should, and leaves nothing to do."""
    assert bakery.run("build", "--progress=plain") == 0, bakery.said()
    assert (project / "out-fresh" / "made").read_text() == f"{number}\ntools\n"
    assert (project / "out-many" / "made").read_text() == f"{number}\ntools\n"
    assert (project / "out-many" / "files" / "round.txt").read_text() == f"{number}\n"
    for name in os.listdir(project / "files"):
        assert (project / "out-many" / "files" / name).read_bytes() == (project / "files" / name).read_bytes()
    assert bakery.run("build", "--progress=plain") == 0, bakery.said()
    steps = [line for line in bakery.said().splitlines() if " RUN " in line or " COPY " in line]
    assert steps
    assert bakery.said().count("CACHED") >= len(steps), bakery.said()


def kill_many(bakery: Killable, project: Path, root: Path, *, kills: int, seconds: float, seed: int) -> int:
    """How many were really killed, of builds and now and then a prune."""
    chance = random.Random(seed)
    begin_round(project, 0)
    begun = time.monotonic()
    check_build(bakery, project, 0)
    longest = 0.5
    killed, number = 0, 0
    while killed < kills and time.monotonic() - begun < seconds:
        number += 1
        begin_round(project, number)
        verb = ("prune", "--force") if chance.random() < 0.15 else ("build", "--progress=plain")
        # Most moments of interest are early: squaring makes them likelier.
        code = bakery.run(*verb, kill_after=0.005 + longest * chance.random() ** 2)
        if code == KILLED:
            killed += 1
        else:
            assert code == 0, bakery.said()
        check_state(root)
        if number % 12 == 0:
            check_build(bakery, project, number)
    check_build(bakery, project, number)
    return killed


def test_some_builds_are_killed(bakery: Killable, project: Path, tmp_path: Path) -> None:
    assert kill_many(bakery, project, tmp_path / "root", kills=12, seconds=20, seed=1) >= 3


@pytest.mark.slow
def test_hundreds_of_builds_are_killed(bakery: Killable, project: Path, tmp_path: Path) -> None:
    """About two minutes."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    assert kill_many(bakery, project, tmp_path / "root", kills=400, seconds=110, seed=seed) >= 50

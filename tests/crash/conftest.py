"""A project that uses all that writes to the state folder, and `bakery` in processes that one can kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import busybox_layout
from support.killable import Killable

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
    """A folder with a bake file of three targets, 5 MB of context, and room for 20 MB of cache."""
    folder = tmp_path / "project"
    (folder / "files").mkdir(parents=True)
    for number in range(20):
        (folder / "files" / f"f{number}").write_bytes(os.urandom(50_000 if number % 5 else 1_000_000))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "round.txt").write_text("0\n")
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
    """`bakery` in the project."""
    killable = Killable(project, tmp_path / "root")
    yield killable
    killable.close()

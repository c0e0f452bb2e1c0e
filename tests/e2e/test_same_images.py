"""Thirty images and three tars, byte for byte those that BuildKit made of the same targets: every field of configs,
platforms as people spell them, annotations of all levels, Docker's media types, times.

The answers in tests/data/peer_images.json were recorded from buildx bake, with the files and targets that stand there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Program

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or platform.machine() != "x86_64", reason="needs root, and the machine of the record"
)
RECORDED = json.loads((Path(__file__).parents[1] / "data" / "peer_images.json").read_text())


def test_the_digests_are_the_peers(program: Program) -> None:
    for name, text in RECORDED["files"].items():
        path = program.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    (program.folder / "docker-bake.json").write_text(json.dumps(RECORDED["bake"]))
    program.build("--allow", "fs.write=.", "--metadata-file", "made.json")
    made: dict[str, Any] = json.loads((program.folder / "made.json").read_text())
    assert {name: made[name]["containerimage.digest"] for name in RECORDED["images"]} == RECORDED["images"]
    tars = {name: (program.folder / "out" / name).read_bytes() for name in RECORDED["tars"]}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in tars.items()} == RECORDED["tars"]

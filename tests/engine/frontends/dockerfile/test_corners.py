"""Small Dockerfiles that go to the edges of the language, with what BuildKit 73ed6825c made of each.

`tests/data/dockerfile_corners.json` holds, for each text, the last line of the error, or the names of the vertices and
the sha256 of the normal form of the definition (README of the vectors; JSON without blanks, keys sorted, ASCII).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.errors import EngineError
from engine.frontends.contract import FrontendRequest, LocalFolder
from engine.llb.json_form import normal_form
from tests.support.dockerfile_cases import AMD64, TESTS, lower

CORNERS: list[dict[str, Any]] = json.loads((TESTS / "data" / "dockerfile_corners.json").read_text())


def request(corner: dict[str, Any], folder: Path) -> FrontendRequest:
    (folder / "Dockerfile").write_text(corner["dockerfile"], newline="")
    locals_ = {name: LocalFolder(name, folder) for name in ("context", "dockerfile")}
    return FrontendRequest(corner.get("options", {}), locals_, default_platform=AMD64)


@pytest.mark.parametrize("corner", [c for c in CORNERS if "error" in c], ids=lambda c: repr(c["dockerfile"])[-40:])
def test_errors_say_what_the_peers_say(corner: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        trio.run(lower, request(corner, tmp_path))
    assert caught.value.message.split("\n")[-1].rstrip() == corner["error"]


def test_vertices_are_the_peers(tmp_path: Path) -> None:
    for corner in CORNERS:
        if "error" in corner:
            continue
        form = normal_form(trio.run(lower, request(corner, tmp_path)).platforms[0].definition)
        assert [vertex.get("name", "") for vertex in form[:-1]] == corner["names"], corner["dockerfile"]
        text = json.dumps(form, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == corner["vertices"], corner["dockerfile"]

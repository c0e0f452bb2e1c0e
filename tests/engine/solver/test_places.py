"""A failure points at a line, also where the vertex that fails stands on none."""

from __future__ import annotations

from pathlib import Path

from support.in_process import Workplace
from support.web_server import web_server

from engine.errors import EngineError


def test_a_download_that_fails_points_at_its_add(tmp_path: Path) -> None:
    with web_server() as web:
        (tmp_path / "Dockerfile").write_text(f"FROM scratch\nWORKDIR /x\nADD {web.url}/gone /\n")
        error = Workplace(tmp_path, Path(f"{tmp_path}-root")).build().result.targets["default"].error
    assert isinstance(error, EngineError)
    assert "404" in error.message
    assert [place.ranges[0].start.line for place in error.places if place.ranges[0].start] == [3]

"""Every recorded case gives the vertices, image config and errors that BuildKit gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.errors import EngineError
from engine.llb.json_form import normal_form
from tests.support.dockerfile_cases import Case, RecordedBridge, cases, load_compare, lower, rendered

COMPARE = load_compare()
EPOCH = {"build-arg:SOURCE_DATE_EPOCH": str(COMPARE.EPOCH)}
ALL = cases()


def recorded(case: Case, name: str) -> list[Path]:
    return sorted(case.expected.glob(name)) + sorted(case.expected.glob(f"linux_*/{name}"))


def only(name: str) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in ALL if recorded(case, name)]


@pytest.mark.parametrize("case", only("llb.json"))
def test_vertices_are_the_peers(case: Case, tmp_path: Path) -> None:
    result = trio.run(lower, case.request(), RecordedBridge(case, tmp_path))
    found = {one.id.replace("/", "_"): normal_form(one.definition) for one in result.platforms}
    for file in recorded(case, "llb.json"):
        form = found[file.parent.name] if result.multi else next(iter(found.values()))
        assert form == json.loads(file.read_text())


@pytest.mark.parametrize("case", only("config.json"))
def test_image_config_is_the_peers(case: Case, tmp_path: Path) -> None:
    options = {} if any("SOURCE_DATE_EPOCH" in key for key in case.options()) else EPOCH
    result = trio.run(lower, case.request(**options), RecordedBridge(case, tmp_path))
    for file in recorded(case, "config.json"):
        wanted = json.loads(file.read_text())
        found = next(
            one.config for one in result.platforms if not result.multi or one.id.replace("/", "_") == file.parent.name
        )
        for config in (wanted, found):
            config.pop("rootfs"), config.pop("created", None)
        if not recorded(case, "error.txt"):
            assert found == wanted


@pytest.mark.parametrize("case", [p for p in only("error.txt") if not recorded(p.values[0], "llb.json")])
def test_errors_are_the_peers(case: Case, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        trio.run(lower, case.request(), RecordedBridge(case, tmp_path))
    wanted = (case.expected / "error.txt").read_text().splitlines()
    assert COMPARE.normal_error(rendered(caught.value)) == wanted

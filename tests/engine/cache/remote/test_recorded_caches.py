"""Caches of the recorded cases: what is exported is what BuildKit exported, what is imported hits as it did there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.dockerfile_cases import VECTORS
from tests.support.in_process import Built, Workplace
from tests.support.recorded_caches import CASES, case_of, distinct, normal_form, place_case, recorded_busybox

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_busybox(tmp_path_factory.mktemp("busybox") / "layout")


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / name / "expected" / "cache.json").read_text())
    return found


def as_set(cache: dict[str, Any]) -> dict[str, Any]:
    """A recorded cache without the order of its parts."""
    records = [
        record | {"inputs": [distinct(links) for links in record["inputs"]]} if "inputs" in record else record
        for record in cache["records"]
    ]
    return {"layers": distinct(cache["layers"]), "records": distinct(records)}


@pytest.mark.parametrize("name", CASES)
def test_exported_as_recorded_and_hits_as_recorded(name: str, busybox: Path, tmp_path: Path) -> None:
    case, expected = case_of(name), recorded(name)
    place = Workplace(tmp_path / "project", tmp_path / "root")
    for mode in ("max", "min"):
        first = place_case(case, place, busybox, tmp_path / "root")
        first.build_well(overrides=(f"*.cache-to=type=local,dest={tmp_path / mode},mode={mode}",))
        assert normal_form(tmp_path / mode, busybox) == as_set(expected[mode]), mode
    for number, change in enumerate([{"name": "unchanged"}, *case.fields["cache"]["changes"]]):
        for mode in ("max", "min"):
            steps = expected["after"].get(f"{mode} {change['name']}")
            if steps is None:
                continue
            later = place_case(case, place, busybox, tmp_path / f"root-{number}-{mode}", change)
            built = later.build_well(overrides=(f"*.cache-from=type=local,src={tmp_path / mode}",))
            races = {short(name) for name, how in steps if how == "either"}
            wanted = {short(name) for name, how in steps if how == "ran"}
            assert ran(built) - races == wanted, f"{mode} {change['name']}"


def ran(built: Built) -> set[str]:
    return {short(built.names[digest]) for digest in built.why if not built.names[digest].startswith("[internal]")}


def short(name: str) -> str:
    """A step without its number, which does not count a FROM that a named context replaces."""
    return name.partition("] ")[2]

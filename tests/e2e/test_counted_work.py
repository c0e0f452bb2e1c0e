"""How much is done for many targets that are much alike: counted, not timed."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.in_process import Workplace

from engine.frontends.dockerfile.parser import parse


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A folder to work in."""
    (tmp_path / "project").mkdir()
    return Workplace(tmp_path / "project", tmp_path / "root")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kind of SQL statement was begun, by its first word."""
    counted: Counter[str] = Counter()
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda sql: counted.update([sql.split(None, 1)[0]]))
        return connection

    monkeypatch.setattr("engine.state.sqlite3.connect", traced)
    return counted


def targets(place: Workplace, count: int) -> None:
    """A project of equal targets, each of which copies a file of its own."""
    place.write("Dockerfile", "FROM scratch\nARG N\nCOPY $N /mine\nCOPY shared /shared\n")
    place.write("shared", "for all")
    for number in range(count):
        place.write(str(number), f"of {number}")
    all_of_them = {f"t{number}": {"args": {"N": str(number)}, "output": ["type=cacheonly"]} for number in range(count)}
    group = {"default": {"targets": list(all_of_them)}}
    place.write("docker-bake.json", json.dumps({"group": group, "target": all_of_them}))


def test_with_nothing_to_do_the_database_is_asked_and_changed_at_once(
    place: Workplace, statements: Counter[str]
) -> None:
    counts = []
    for number in (20, 60):
        targets(place, number)
        assert len(place.build().ran) > 0
        statements.clear()
        assert place.build().ran == []
        counts.append(Counter(statements))
    few, many = counts
    assert many["BEGIN"] == few["BEGIN"] <= 3
    assert many["SELECT"] <= few["SELECT"] + 2
    assert many["DELETE"] == few["DELETE"] == 0
    assert many["INSERT"] - few["INSERT"] == 40, "the result of each target"


def test_equal_dockerfiles_are_parsed_once(place: Workplace) -> None:
    targets(place, 12)
    parse.cache_clear()
    place.build()
    assert (parse.cache_info().misses, parse.cache_info().hits) == (1, 11)


def test_copies_in_a_row_are_looked_up_and_recorded_together(
    place: Workplace, statements: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.solver.rows.PAUSE", 3600.0)  # so that nothing is recorded while they are at work
    counts = []
    for name, number in (("first", 1), ("few", 3), ("many", 30)):
        files = [f"{name}{n}" for n in range(number)]
        for file in files:
            place.write(file, file)
        place.write("Dockerfile", "FROM scratch\n" + "".join(f"COPY {file} /\n" for file in files))
        place.write("docker-bake.json", json.dumps({"target": {"default": {"output": ["type=cacheonly"]}}}))
        statements.clear()
        assert len(place.build().ran) == number
        counts.append(Counter(statements))
    _, few, many = counts
    assert many["SELECT"] - few["SELECT"] < 9, "for 27 steps more"
    assert many["BEGIN"] - few["BEGIN"] < 9

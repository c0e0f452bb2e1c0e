"""Bake files written in the ways people write them give what the peer gave for them, or what is said to differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.answers import FOLDER, Case, answer, answers, cases, differences

from bakery.cli.main import command

TOPICS = sorted(path.stem for path in FOLDER.glob("*.txt"))
CASES = [case for topic in TOPICS for case in cases(topic)]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.topic}: {case.name}" for case in CASES])
def test_answer(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    recorded = answers(case.topic)[case.name]
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for variable in set(os.environ) - {"PATH"}:
        monkeypatch.delenv(variable)
    for variable, value in {"HOME": "/home/user", **case.env}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.argv", ["bakery", "build", *case.argv])

    given = answer(command(), *capfd.readouterr())

    assert differences(recorded["ours" if case.differs else "peer"], given) == []
    assert bool(differences(recorded["peer"], given)) == bool(case.differs)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_case_has_a_name_of_its_own(topic: str) -> None:
    names = [case.name for case in cases(topic)]
    assert sorted(names) == sorted(set(names)) == sorted(answers(topic))

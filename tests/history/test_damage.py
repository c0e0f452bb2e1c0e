"""A record that a dying disk or another program has changed is told to be damaged, or read as far as it can be."""

from __future__ import annotations

import random
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.build_story import failing_build

from bakery.cli.explain import explain
from bakery.cli.history import history
from bakery.cli.report import report
from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError
from bakery.history.recorder import Recorder
from engine.errors import ExitError
from engine.request import BuildResult, Outcome, TargetResult

QUESTIONS: list[tuple[click.Command, list[str]]] = [
    (history, ["ls"]),
    (history, ["show"]),
    (history, ["logs"]),
    (history, ["export"]),
    (history, ["export", "--format", "trace"]),
    (history, ["export", "--format", "otlp"]),
    (history, ["compare", "last", "last"]),
    (report, ["-o", "-"]),
    (explain, ["api"]),
]
VALUE = re.compile(rb'(?<=[:,\[])("[^"]*"|-?\d+(?:\.\d+)?|null|true|false)(?=[,}\]])')
OTHERS = (b"null", b"[]", b"{}", b'"x"', b"-1", b"1e400", b"99999999999999999999", b"true")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The same with other bytes here and there, cut off, with another value, or with its lines in another order."""
    kind = rng.choice(("bytes", "cut", "value", "value", "lines"))
    changed = bytearray(data)
    values = [match.span() for match in VALUE.finditer(data)]
    if kind == "bytes":
        for _ in range(rng.randint(1, 5)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    elif kind == "cut":
        del changed[rng.randrange(len(changed)) :]
    elif kind == "value" and values:
        start, end = rng.choice(values)
        changed[start:end] = rng.choice(OTHERS)
    else:
        lines = data.split(b"\n")
        rng.shuffle(lines)
        return b"\n".join(lines)
    return bytes(changed)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The folder of a recorded build."""
    recorder = Recorder(tmp_path, keep=100)
    targets = {name: Target(name, args={"A": "1"}, tags=(f"{name}:1",)) for name in ("api", "docs")}
    recorder.begin(Project(targets), ["bakery", "build"], {"CI": "true"}, tmp_path)
    for event in failing_build():
        recorder.listen(event)
    failed = TargetResult("api", Outcome.FAILED, error=ExitError("make", 2), steps=3, hits=1, seconds=12.0)
    well = TargetResult("docs", Outcome.SUCCEEDED, {"image.name": "docs:1"}, steps=2, size=7)
    recorder.finish(BuildResult({"api": failed, "docs": well}))
    return recorder.folder


@pytest.mark.parametrize("seed", range(25))
def test_a_damaged_record_is_no_bug(seed: int, record: Path) -> None:
    rng = random.Random(seed)
    path = rng.choice(sorted(path for path in record.iterdir() if path.is_file()))
    if rng.random() < 0.1:
        path.unlink()
    else:
        path.write_bytes(damaged(path.read_bytes(), rng))
    for command, words in QUESTIONS:
        arguments = [*words, "--root", str(record.parent.parent)]
        result = CliRunner().invoke(command, arguments, standalone_mode=False)
        told = isinstance(result.exception, (BakeryError, type(None)))
        assert told, (seed, words, result.exception)


def test_a_damaged_record_says_how_to_be_rid_of_it(record: Path) -> None:
    (record / "facts.json").write_text('{"began": 1, "targets": {}, "files": [1]}')
    result = CliRunner().invoke(history, ["show", "--root", str(record.parent.parent)], standalone_mode=False)
    assert isinstance(result.exception, BakeryError)
    (told,) = result.exception.diagnostics
    assert told.summary == f"the record of build {record.name} is damaged"
    assert told.hint == f"bakery history rm {record.name}"


def test_the_lines_of_a_log_that_are_well_are_still_printed(record: Path) -> None:
    with (record / "logs.jsonl").open("ab") as file:
        file.write(b'["log",null,1,1,"x"]\n["log",0,"x",1,"x"]\n["gap",0]\n')
    result = CliRunner().invoke(history, ["logs", "--root", str(record.parent.parent)], standalone_mode=False)
    assert "cc -c main.c\ncc -c util.c\n" in result.stdout

"""Every golden case of the bake language: the same files and arguments give what the peer gave."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from bakery.cli.main import command

CASES = Path(__file__).parent.parent / "vectors" / "bake"
NAMES = sorted(path.parent.name for path in CASES.glob("*/case.json"))


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bake_run_cases", CASES / "run_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUNNER = _runner()


def test_all_cases_are_there() -> None:
    assert len(NAMES) == 118


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    folder = CASES / name
    case = json.loads((folder / "case.json").read_text())
    work = tmp_path / "work"
    shutil.copytree(folder, work, ignore=lambda at, names: RUNNER.META if at == str(folder) else ())
    for key in case.get("ssh_keys", ()):
        (work / key).parent.mkdir(parents=True, exist_ok=True)
        (work / key).write_text("a key that nothing reads")
    (tmp_path / "home").mkdir()
    given = (folder / case["stdin"]).read_bytes() if case.get("stdin") else b""
    monkeypatch.chdir(work)
    for variable in set(os.environ) - {"PATH"}:
        monkeypatch.delenv(variable)
    for variable, value in {"HOME": str(tmp_path / "home"), **case["env"]}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "argv", ["bakery", "build", *case["argv"]])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))

    code = command()

    out, err = capfd.readouterr()
    differences = RUNNER.compare(str(folder), case, code, out, err)
    if differences and any(path.name.startswith("sensible.") for path in folder.iterdir()):
        differences = RUNNER.compare(str(folder), case, code, out, err, sensible=True)
    assert differences == []

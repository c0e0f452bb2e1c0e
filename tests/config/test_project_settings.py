"""What `bakery.toml` says of how definitions are read, below flags and the environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bakery.cli.main import command


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sub"
    folder.mkdir()
    (folder / "bakery.toml").write_text("file-relative-paths = true\nstrict = true\n")
    (folder / "docker-bake.hcl").write_text('target "default" {\n  context = "src"\n}\n')
    for variable in set(os.environ) - {"PATH"}:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    monkeypatch.setattr("sys.argv", ["bakery", "build", "-f", "sub/docker-bake.hcl", "--print", *flags])
    return command()


def context(capfd: pytest.CaptureFixture[str]) -> object:
    return json.loads(capfd.readouterr().out)["target"]["default"]["context"]


def test_paths_start_where_the_setting_says(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 0
    assert context(capfd) == "sub/src"


def test_a_flag_and_the_environment_come_first(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--cwd-relative-paths") == 0
    assert context(capfd) == "src"
    monkeypatch.setenv("BUILDX_BAKE_FILE_RELATIVE_PATHS", "0")
    assert run(monkeypatch) == 0
    assert context(capfd) == "src"


def test_a_portable_file_can_be_read_strictly(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "docker-bake.hcl").write_text('target "default" {\n  contex = "src"\n}\n')
    assert run(monkeypatch) == 1
    assert 'did you mean "context"' in capfd.readouterr().err
    assert run(monkeypatch, "--no-strict") == 0

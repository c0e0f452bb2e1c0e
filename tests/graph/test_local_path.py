"""Texts that nothing on a disk can be called are told at their attribute, before anything is built."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bakery.cli.main import command

LONG = "a" * 5000
NAME = "a" * 256


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (f'context = "{LONG}"', "it has "),
        (f'context = "{NAME}"', "a name in it has 256 bytes"),
        (f'contexts = {{ more = "{NAME}" }}', "a name in it has 256 bytes"),
        (f'contexts = {{ more = "oci-layout://{NAME}" }}', "a name in it has 256 bytes"),
        (f'dockerfile = "{NAME}"', "a name in it has 256 bytes"),
        (r'output = ["type=local,dest=a\u0000b"]', "it has a zero byte"),
        (f'output = ["{NAME}"]', "a name in it has 256 bytes"),
        (r'cache-to = ["type=local,dest=a\u0000b"]', "it has a zero byte"),
        (f'cache-from = ["type=local,src={LONG}"]', "it has "),
    ],
)
def test_what_cannot_be_a_path(
    setting: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    (tmp_path / "docker-bake.hcl").write_text(f'target "default" {{\n  {setting}\n}}\n')

    assert _build(tmp_path, monkeypatch) == 1

    error = capfd.readouterr().err
    assert "cannot be a path: " + reason in error
    assert "docker-bake.hcl:2," in error


@pytest.mark.parametrize(("name", "made"), [("folder", "is no file"), ("/dev/zero", "is no file")])
def test_a_dockerfile_that_is_no_file(
    name: str, made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "docker-bake.hcl").write_text(f'target "default" {{\n  dockerfile = "{name}"\n}}\n')

    assert _build(tmp_path, monkeypatch, "--allow=fs=*") == 1

    error = capfd.readouterr().err
    assert f"failed to read dockerfile: {name} {made}" in error
    assert "docker-bake.hcl:2," in error


def test_a_dockerfile_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "Dockerfile").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "docker-bake.hcl").write_text('target "default" {}\n')

    assert _build(tmp_path, monkeypatch) == 1

    assert "failed to read dockerfile: open Dockerfile: it has more than 16777216 bytes" in capfd.readouterr().err


def _build(folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BAKERY_ROOT", str(folder / "root"))
    monkeypatch.setattr("sys.argv", ["bakery", "build", "--progress=plain", *shlex.split(more)])
    return command()

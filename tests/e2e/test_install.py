"""Installed with pip into a clean environment, away from its sources, bakery works."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.program import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.network]


def test_pip_installs_a_bakery_that_builds(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, REPOSITORY], check=True)
    (wheel,) = tmp_path.glob("bakery_bake-*.whl")
    subprocess.run([*pip, "install", wheel], check=True)

    shipped = {path.relative_to(REPOSITORY).as_posix() for p in ("bakery", "engine") for path in _data(REPOSITORY / p)}
    assert shipped <= set(zipfile.ZipFile(wheel).namelist()), "what is not Python is shipped as well"

    page = venv / "share/man/man1/bakery.1"
    assert page.read_text().startswith(".TH BAKERY 1")
    for place in (
        "bash-completion/completions/bakery",
        "zsh/site-functions/_bakery",
        "fish/vendor_completions.d/bakery.fish",
    ):
        assert "_BAKERY_COMPLETE=" in (venv / "share" / place).read_text()

    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY <<END /here\ninstalled\nEND\n")
    build = [venv / "bin/bakery", "build", "--root", "root", "--set", "default.output=type=local,dest=out"]
    subprocess.run(build, cwd=tmp_path, check=True)
    assert (tmp_path / "out/here").read_text() == "installed\n"


def _data(package: Path) -> list[Path]:
    return [p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".py"]

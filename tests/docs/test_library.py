"""The example of docs/library.md is a program that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.program import REPOSITORY


def test_the_engine_is_a_library(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/library.md").read_text(), re.DOTALL)
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "BAKERY_ROOT": str(tmp_path / "root")}
    ran = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=environ, check=True, capture_output=True, text=True
    )
    assert ran.stdout.splitlines()[-1].split() == ["notes", "succeeded"]
    assert (tmp_path / "out/docs/notes.txt").read_text() == "made without a Dockerfile\n"

"""Pages opened in a real Chromium, without a window: what it complains of, and what is there after the scripts ran."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_MESSAGE = re.compile(r"INFO:CONSOLE[^\"]*\"(.*)\", source:")


DARK = "--blink-settings=preferredColorScheme=0"


def visit(
    page: Path, profile: Path, *, script: str = "", screenshot: Path | None = None, options: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """The page's elements once loaded, and the lines of its console. `script` is run at its end."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs chromium")
    text = page.read_text(encoding="utf-8")
    driven = page.with_name(f"driven-{page.name}")
    driven.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    shot = [f"--screenshot={screenshot}", "--window-size=1400,1600"] if screenshot else []
    done = subprocess.run(
        [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            "--dump-dom",
            *shot,
            *options,
            driven.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, _MESSAGE.findall(done.stderr)

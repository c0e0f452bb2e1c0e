"""`bakery inspect`: what this machine can build, for people and for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path


def inspect(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "bakery.cli.main", "inspect", "--root", str(folder / "root"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_the_machine_its_runtimes_and_platforms_are_told(tmp_path: Path) -> None:
    facts = json.loads(inspect(tmp_path, "--format", "json"))
    assert facts["kernel"] == platform.release()
    assert facts["root"] == str(tmp_path / "root")
    assert [runtime["name"] for runtime in facts["runtimes"]] == ["native", "bubblewrap", "crun", "runc"]
    native, bubblewrap, *_ = facts["runtimes"]
    assert (native["path"], native["version"]) == ("kernel", platform.release())
    assert Path(bubblewrap["path"]).name == "bwrap"
    assert bubblewrap["version"][0].isdigit()
    assert facts["platforms"][0]["how"] == "native"
    assert all(item["how"] in ("native", "registered") or Path(item["how"]).exists() for item in facts["platforms"])


def test_people_read_the_same(tmp_path: Path) -> None:
    text = inspect(tmp_path)
    for name in ("machine", "users of steps", "runtimes", "platforms", "state folder"):
        assert f"\n{name} " in text
    assert str(tmp_path / "root") in text

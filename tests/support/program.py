"""The program as people run it: a process, its output, and what its rawjson says of the steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 1800
"""Seconds after which a run has hung: the monorepo of the examples installs compilers, on busy machines as well."""


@dataclass(frozen=True)
class Run:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @cached_property
    def vertices(self) -> dict[str, dict[str, Any]]:
        """With --progress=rawjson: what was said last of each vertex, by digest."""
        found: dict[str, dict[str, Any]] = {}
        for line in self.err.splitlines():
            if line.startswith("{"):
                for vertex in json.loads(line).get("vertexes") or ():
                    found.setdefault(vertex["digest"], {}).update(vertex)
        return found

    @property
    def ran(self) -> list[str]:
        """Names of the steps that did work, exports and sources' look-ups aside."""
        aside = ("exporting", "keeping", "internal]")
        return sorted(
            v["name"]
            for v in self.vertices.values()
            if v.get("started") and not v.get("cached") and not any(word in v["name"] for word in aside)
        )

    def ran_times(self, text: str) -> int:
        """How many steps that did work have `text` in their names."""
        return sum(text in name for name in self.ran)


@dataclass
class Program:
    """`bakery` in a folder, with a state folder of its own."""

    folder: Path
    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """A run that goes on beside the test."""
        return subprocess.Popen(
            [sys.executable, "-m", "bakery.cli.main", *map(str, arguments)],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "BAKERY_ROOT": str(self.root),
                "NO_COLOR": "1",
                **self.environ,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: str | Path) -> Run:
        """A run to its end."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        run = Run(process.returncode, out, err)
        assert "Traceback" not in err + out, err
        return run

    def build(self, *arguments: str | Path) -> Run:
        """A build that must succeed, with --progress=rawjson."""
        run = self.run("build", "--progress=rawjson", *arguments)
        assert run.code == 0, run.err
        return run

    def fail(self, *arguments: str | Path, code: int = 1) -> str:
        """A run that must fail; what it said."""
        run = self.run(*arguments)
        assert run.code == code, run.err
        return run.err

    def write(self, **files: str) -> None:
        """Writes files; `__` in a name is a slash, `_DOT_` a dot."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

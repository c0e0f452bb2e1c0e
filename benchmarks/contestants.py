"""Who is timed: bakery, and the peer where it can be found."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Contestant(Protocol):
    """A tool that builds bake files."""

    name: str

    def command(self, arguments: tuple[str, ...]) -> list[str]:
        """What is run in the project's folder."""
        ...

    def environment(self) -> dict[str, str]:
        """Its environment."""
        ...

    def forget(self) -> None:
        """Empties its cache."""
        ...


@dataclass
class Bakery:
    """bakery, as installed beside this Python."""

    name: str = "bakery"
    root: Path | None = None

    def command(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(Path(sys.executable).with_name("bakery")), "build", *arguments]

    def environment(self) -> dict[str, str]:
        if self.root is None:
            self.forget()
        return {**os.environ, "BAKERY_ROOT": str(self.root)}

    def critical_path(self, folder: Path) -> float:
        """The seconds of work in the longest chain of steps of the last build."""
        program = str(Path(sys.executable).with_name("bakery"))
        done = subprocess.run(
            [program, "history", "show", "--format=json"],
            cwd=folder,
            env=self.environment(),
            check=True,
            stdout=subprocess.PIPE,
        )
        build = json.loads(done.stdout)
        seconds = {vertex["digest"]: float(vertex["seconds"]) for vertex in build["vertices"]}
        return sum(seconds[digest] for digest in build["critical_path"])

    def forget(self) -> None:
        if self.root is not None:
            shutil.rmtree(self.root, ignore_errors=True)
        self.root = Path(tempfile.mkdtemp(prefix="bakery-bench-"))


@dataclass
class Peer:
    """buildx bake with a BuildKit daemon: BENCH_BUILDX, BENCH_BUILDER, BENCH_BUILDCTL (a command with its --addr)."""

    buildx: str
    builder: str
    buildctl: str
    name: str = "buildkit"

    @classmethod
    def find(cls) -> Peer | None:
        """The peer that the environment names, if it names one."""
        buildx, buildctl = os.environ.get("BENCH_BUILDX"), os.environ.get("BENCH_BUILDCTL")
        if not buildx or not buildctl:
            return None
        return cls(buildx, os.environ.get("BENCH_BUILDER", "default"), buildctl)

    def command(self, arguments: tuple[str, ...]) -> list[str]:
        return [*shlex.split(self.buildx), "bake", "--builder", self.builder, *arguments]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}

    def forget(self) -> None:
        subprocess.run([*shlex.split(self.buildctl), "prune", "--all"], check=True, stdout=subprocess.DEVNULL)

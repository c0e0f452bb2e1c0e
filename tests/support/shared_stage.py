"""A project of two targets whose stages have one below them in common."""

from __future__ import annotations

from pathlib import Path

BAKE = """
group "default" { targets = ["one", "two"] }
target "one" { target = "one" }
target "two" { target = "two" }
"""
DOCKERFILE = """
FROM scratch AS base
COPY <<END /shared
END
FROM base AS one
COPY one /
FROM base AS two
COPY two /
"""


def write_project(folder: Path) -> None:
    """Writes the bake file and the Dockerfile; `one` and `two` are still to be made."""
    (folder / "docker-bake.hcl").write_text(BAKE)
    (folder / "Dockerfile").write_text(DOCKERFILE)

"""Steps that say very much: they are shown up to a limit, kept whole, and cost everybody else next to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.program import Program

pytestmark = [pytest.mark.slow, pytest.mark.root]

LINES = 10_000_000
SIZE = 78_888_897
"""Bytes of the numbers up to `LINES`, each on a line of its own."""
DOCKERFILE = f"""FROM base AS loud
RUN busybox seq 1 {LINES} && echo over
FROM base AS quiet
RUN echo a word
FROM scratch
COPY --from=loud /etc/passwd /loud
COPY --from=quiet /etc/passwd /quiet
"""


BAKE = 'target "default" { contexts = { base = "oci-layout://base" } }\n'


def log_files(program: Program) -> list[Path]:
    return sorted((program.root / "logs").rglob("*.log"), key=lambda path: path.stat().st_size)


def test_ten_million_lines_are_clipped_and_kept(program: Program) -> None:
    program.write(Dockerfile=DOCKERFILE)
    (program.folder / "docker-bake.hcl").write_text(BAKE)
    done = program.run("build", "--progress=plain")
    assert done.code == 0, done.err[-2000:]
    *_, quiet, loud = log_files(program)
    assert quiet.read_bytes() == b"a word\n"
    assert loud.stat().st_size == SIZE + len("over\n")
    with loud.open("rb") as file:
        file.seek(-20, 2)
        assert file.read().endswith(b"\n10000000\nover\n")
    assert "output clipped, log limit " in done.err
    assert len(done.err) < 4 << 20
    assert "a word" in done.err

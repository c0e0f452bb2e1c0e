"""A build in which nothing has to be done leaves as much as possible undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.program import Program

COSTLY = {
    "asyncio",
    "attr",
    "bcrypt",
    "cryptography",
    "email",
    "engine.registry.client",
    "engine.sandbox.process",
    "engine.solver.scheduler",
    "hcl2",
    "httpx2",
    "jinja2",
    "logging",
    "networkx",
    "regex",
    "rich",
    "ssl",
    "subprocess",
    "trio._core",
    "yaml",
    "zstandard",
}
BAKE = """\
group "default" { targets = ["app", "files", "kept"] }
target "app" {
  contexts = { base = "oci-layout://base" }
  output = ["type=oci,dest=app.tar"]
}
target "files" {
  contexts = { base = "oci-layout://base" }
  target = "made"
  output = ["type=local,dest=out"]
}
target "kept" {
  contexts = { app = "target:app" }
  dockerfile-inline = "FROM app\\nCOPY data /more"
  output = ["type=cacheonly"]
}
"""
DOCKERFILE = """\
FROM base AS build
RUN echo made > /made
FROM scratch AS made
COPY --from=build /made /
FROM base
COPY data /data
COPY --from=made /made /
"""


@pytest.fixture
def built(program: Program) -> Program:
    """A program whose project is built."""
    (program.folder / "docker-bake.hcl").write_text(BAKE)
    (program.folder / "Dockerfile").write_text(DOCKERFILE)
    (program.folder / "data").mkdir()
    (program.folder / "data" / "file").write_text("1")
    assert program.run("build", "--progress=plain").code == 0
    return program


def imported(program: Program, *arguments: str) -> set[str]:
    """The modules that a run imports."""
    program.environ["PYTHONPROFILEIMPORTTIME"] = "1"
    run = program.run(*arguments)
    del program.environ["PYTHONPROFILEIMPORTTIME"]
    assert run.code == 0, run.err
    return {line.rpartition("|")[2].strip() for line in run.err.splitlines() if line.startswith("import time:")}


def test_it_imports_nothing_costly(built: Program) -> None:
    names = imported(built, "build", "--progress=plain")
    assert "engine.delivery" in names
    assert sorted(names & COSTLY) == []
    assert len(names) < 500


def test_it_tells_all_the_same(built: Program) -> None:
    run = built.run("build", "--progress=plain")
    for line in ("app    cached", "files  cached", "kept   cached"):
        assert line in run.err
    assert run.err.count("CACHED") == 9


@pytest.mark.parametrize("lost", ["app.tar", "out/made"])
def test_an_output_that_is_gone_is_written_again(built: Program, lost: str) -> None:
    path = built.folder / lost
    path.unlink()
    again = built.run("build", "--progress=rawjson")
    assert again.code == 0
    assert again.ran == []
    assert path.exists()


def test_a_change_is_found_with_everything_that_hangs_on_it(built: Program) -> None:
    (built.folder / "data" / "file").write_text("2")
    again = built.run("build", "--progress=rawjson")
    assert again.code == 0
    assert sorted(name.partition("] ")[2] for name in again.ran) == [
        "COPY --from=made /made /",
        "COPY data /data",
        "COPY data /more",
    ]
    assert built.run("build", "--progress=rawjson").ran == []


def test_what_is_found_out_is_told_once_also_when_there_is_something_to_do(built: Program) -> None:
    (built.folder / "data" / "file").write_text("3")
    again = built.run("build", "--progress=plain")
    lines = [line for line in again.err.splitlines() if line.startswith("#") and "] " in line]
    assert len(lines) == len(set(lines))


def test_a_mistake_is_told_as_ever(built: Program) -> None:
    (built.folder / "Dockerfile").write_text("FROM base\nCOPY nothing /\n")
    run = built.run("build", "app", "--progress=plain")
    assert run.code == 1
    assert "nothing" in run.err
    assert run.err.count("\nERROR: ") == 1, run.err
    (built.folder / "Dockerfile").write_text("FROM base\nRUNN x\n")
    run = built.run("build", "app", "--progress=plain")
    assert run.code == 1
    assert run.err.count("unknown instruction") == 1, run.err


def test_all_that_is_listed_as_costly_is_there_to_be_imported(tmp_path: Path) -> None:
    from importlib.util import find_spec

    assert all(find_spec(name) for name in COSTLY)

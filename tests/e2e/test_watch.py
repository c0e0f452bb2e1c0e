"""`bakery build --watch`: saving a file builds exactly the targets that take it, and ends what is outdated."""

from __future__ import annotations

import queue
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.patience import PATIENCE
from support.program import Program

pytestmark = [pytest.mark.slow, pytest.mark.root]

BAKE = """
group "default" { targets = ["a", "b"] }
target "_base" { contexts = { busybox = "oci-layout://base" } }
target "a" {
  inherits          = ["_base"]
  dockerfile-inline = "FROM busybox\\nCOPY a /a"
  output            = ["type=local,dest=out/a"]
}
target "b" {
  inherits          = ["_base"]
  dockerfile-inline = "FROM busybox\\nCOPY b /b\\nRUN sleep $(cat /b)"
  output            = ["type=cacheonly"]
}
"""
IDLE = "watching for changes"


class Watched:
    """What a watch says, line by line."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue()

    def listen(self, stream: Iterator[str]) -> None:
        for line in stream:
            self._lines.put(line)

    def until(self, pattern: str, seconds: float = PATIENCE) -> str:
        """Everything up to a line that matches."""
        said = ""
        while not re.search(pattern, said):
            try:
                said += self._lines.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} in:\n{said}") from None
        return said

    def nothing(self, seconds: float) -> None:
        with pytest.raises(queue.Empty):
            raise AssertionError(self._lines.get(timeout=seconds))


@contextmanager
def watching(program: Program, *arguments: str) -> Iterator[Watched]:
    process = program.start("build", "--watch", "--progress=plain", *arguments, start_new_session=True)
    watched = Watched()
    assert process.stderr is not None
    reader = threading.Thread(target=watched.listen, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        yield watched
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 130
        reader.join()


@pytest.fixture
def project(program: Program) -> Program:
    (program.folder / "bakery.hcl").write_text(BAKE)
    (program.folder / "a").write_text("1")
    (program.folder / "b").write_text("0")
    return program


def test_a_saved_file_builds_what_takes_it_and_nothing_else(project: Program) -> None:
    with watching(project) as watched:
        first = watched.until(IDLE)
        assert "COPY a /a" in first
        assert "COPY b /b" in first

        (project.folder / "a").write_text("2")
        said = watched.until(IDLE)
        assert re.search(r"changed: a$", said, re.MULTILINE)
        assert "COPY b /b" not in said
        assert (project.folder / "out/a/a").read_text() == "2"

        (project.folder / "nobody-takes-this").write_text("x")
        watched.nothing(3)


def test_a_build_that_is_outdated_is_ended(project: Program) -> None:
    with watching(project) as watched:
        watched.until(IDLE)
        (project.folder / "b").write_text("500")
        watched.until(r"RUN sleep")
        (project.folder / "b").write_text("0.1")
        assert "changed: b" in watched.until(IDLE, 40)
        watched.until(r" b +built", 40)


def test_a_mistake_is_told_and_its_repair_built(project: Program) -> None:
    with watching(project) as watched:
        watched.until(IDLE)
        (project.folder / "bakery.hcl").write_text(BAKE.replace("busybox\\nCOPY a", "busybox\\nCOPYY a"))
        assert "COPYY" in watched.until(IDLE)
        (project.folder / "bakery.hcl").write_text(BAKE.replace("COPY a /a", "COPY a /c"))
        watched.until(IDLE)
        assert (project.folder / "out/a/c").read_text() == "1"


def test_what_lies_outside_of_the_folder_is_watched_too(project: Program) -> None:
    """Bake files that are named, Dockerfiles, folders, and where links lead: each change builds what takes it."""
    shared = project.folder.parent / "shared"
    (shared / "context").mkdir(parents=True)
    (shared / "context/file").write_text("1")
    (shared / "Dockerfile").write_text("FROM scratch\nCOPY file /1\n")
    (shared / "bake.hcl").write_text('variable "V" { default = "1" }\n')
    (project.folder / "linked").symlink_to(shared / "context")
    (project.folder / "bakery.hcl").write_text(
        'target "c" {\n  context = "linked"\n  dockerfile = "../Dockerfile"\n  labels = { v = V }\n'
        '  output = ["type=cacheonly"]\n}\n'
    )
    with watching(project, "-f", "../shared/bake.hcl", "-f", "bakery.hcl", "--allow", "fs=*", "c") as watched:
        watched.until(IDLE)
        for name, text in [
            ("context/file", "2"),
            ("Dockerfile", "FROM scratch\nCOPY file /2\n"),
            ("bake.hcl", 'variable "V" { default = "2" }\n'),
        ]:
            (shared / name).write_text(text)
            watched.until("changed: c")
            watched.until(IDLE)


def test_a_definition_that_is_wrong_at_first_may_be_put_right(project: Program) -> None:
    (project.folder / "bakery.hcl").write_text("target {")
    with watching(project) as watched:
        assert "ERROR" in watched.until(IDLE)
        (project.folder / "bakery.hcl").write_text(BAKE)
        watched.until(" a +built")


def test_stdin_cannot_be_watched(project: Program) -> None:
    assert "--watch needs bake files that lie here" in project.fail("build", "--watch", "-f", "-", code=2)

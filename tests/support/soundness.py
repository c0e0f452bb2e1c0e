"""What must hold of a state folder and of a build, whatever happened before. For the project of tests/crash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.cache.repair import Kind, examine
from support.killable import Killable


def begin_round(project: Path, number: int) -> None:
    """Something to do for the next build."""
    (project / "round.txt").write_text(f"{number}\n")
    for name in ("out-many", "out-fresh"):
        shutil.rmtree(project / name, ignore_errors=True)


def check_state(root: Path) -> None:
    """Every record is complete and every blob sound; rubbish is allowed, for nobody had the time to clear it away."""
    wrong = [
        finding
        for finding in examine(root)
        if finding.kind is not Kind.LEFTOVERS and "not recorded" not in finding.text
    ]
    assert not wrong


def check_words(bakery: Killable) -> None:
    """What a failed run wrote is for its user: an error, and no talk of bugs."""
    said = bakery.said()
    assert "ERROR" in said, said
    assert "Traceback" not in said, said
    assert "bug in bakery" not in said, said


def check_build(bakery: Killable, project: Path, number: int) -> None:
    """A build that nobody disturbs works, gives what it should, and leaves nothing to do."""
    assert bakery.run("build", "--progress=plain") == 0, bakery.said()
    assert (project / "out-fresh" / "made").read_text() == f"{number}\ntools\n"
    assert (project / "out-many" / "made").read_text() == f"{number}\ntools\n"
    assert (project / "out-many" / "files" / "round.txt").read_text() == f"{number}\n"
    for name in os.listdir(project / "files"):
        assert (project / "out-many" / "files" / name).read_bytes() == (project / "files" / name).read_bytes()
    assert bakery.run("build", "--progress=plain") == 0, bakery.said()
    steps = [line for line in bakery.said().splitlines() if " RUN " in line or " COPY " in line]
    assert steps
    assert bakery.said().count("CACHED") >= len(steps), bakery.said()

"""Secrets of whole builds: where they come from, and that they are nowhere afterwards."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from support.program import Program

pytestmark = [pytest.mark.slow, pytest.mark.root]

VALUE = "correct-horse-battery-staple"
DOCKERFILE = """FROM base AS tried
RUN --mount=type=secret,id=token,required cat /run/secrets/token; echo "in the middle: $(cat /run/secrets/token)."
RUN --mount=type=secret,id=token,env=TOKEN for n in 1 2 3; do echo "$TOKEN$TOKEN"; done; test -n "$TOKEN"
RUN --mount=type=secret,id=token,target=/t cut -c 1-9 /t | tr -d '\\n'; sleep 0.1; cut -c 10- /t
FROM tried AS fails
RUN --mount=type=secret,id=token,env=TOKEN echo "$TOKEN" >&2; sh -c "exit 3" "$TOKEN"
"""
BAKE = """
target "default" {
  matrix   = { stage = ["tried", "fails"] }
  name     = stage
  target   = stage
  contexts = { base = "oci-layout://base" }
  secret   = ["id=token,command=sh secret.sh"]
  attest   = ["type=provenance,mode=max"]
  output   = ["type=oci,dest=${stage}.tar"]
}
"""


@pytest.fixture
def baker(program: Program) -> Program:
    (program.folder / "Dockerfile").write_text(DOCKERFILE)
    (program.folder / ".dockerignore").write_text("*")
    (program.folder / "bakery.hcl").write_text(BAKE)
    (program.folder / "secret.sh").write_text(
        f"echo x >> runs\necho {base64.b64encode(VALUE.encode()).decode()} | base64 -d\n"
    )
    return program


def runs(baker: Program) -> int:
    path = baker.folder / "runs"
    return len(path.read_text().split()) if path.exists() else 0


def holding(folder: Path, value: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and value in path.read_bytes()]


def test_a_secret_from_a_command_is_for_who_allows_it(baker: Program) -> None:
    said = baker.fail("build", "tried")
    assert "gets secret token from the command `sh secret.sh`, run on this machine (bakery.hcl:7)" in said
    assert "--allow 'secret.command=sh secret.sh'" in said
    baker.fail("build", "--allow", "secret.command=sh other.sh", "tried")
    assert runs(baker) == 0
    baker.build("--allow", "secret.command=sh secret.sh", "tried")
    assert runs(baker) == 1
    assert baker.build("--allow", "secret.command", "tried").ran_times("RUN") == 0
    assert runs(baker) == 1, "nothing ran that needs it"


def test_a_command_that_fails_is_shown_with_the_line_that_wanted_it(baker: Program) -> None:
    (baker.folder / "secret.sh").write_text(f"echo {VALUE}; echo {VALUE} >&2; exit 9\n")
    said = baker.fail("build", "--allow", "secret.command", "tried")
    assert "secret token: its command `sh secret.sh` ended with exit code 9" in said
    assert "Dockerfile:2" in said
    assert VALUE not in said


def test_no_secret_is_anywhere_after_builds_that_print_it_and_fail_with_it(baker: Program) -> None:
    allow = ("--allow", "secret.command")
    shown = [
        baker.run("build", f"--progress={mode}", *allow, *more)
        for mode, more in (
            ("plain", ("--no-cache",)),
            ("rawjson", ("--no-cache",)),
            ("tty", ("--no-cache",)),
            ("quiet", ()),
        )
    ]
    verbs = (
        "history logs",
        "history show",
        "history export -o b.json",
        "explain tried",
        "report -o r.html",
        "build --print",
    )
    shown += [baker.run(*verb.split()) for verb in verbs]
    assert [run.code for run in shown] == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert "***" in shown[0].err
    assert "exit code: 3" in shown[0].err
    assert (baker.folder / "tried.tar").exists()
    for run in shown:
        assert VALUE not in run.out + run.err
    assert holding(baker.root, VALUE.encode()) == []
    assert holding(baker.folder, VALUE.encode()) == []

"""Ctrl-C and SIGTERM while something runs on trio, as whole processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.patience import PATIENCE

ROOT = Path(__file__).parents[2]
# The command with an engine that tells of one step and then sleeps; everything around it is the real thing.
DRIVER = """
import sys, time, trio
from bakery.cli import run
from bakery.cli.main import main
from engine.digests import sha256
from engine.events import VertexKnown, VertexStarted

async def sleep(listener):
    listener(VertexKnown(sha256(b""), "RUN sleep", targets=("default",)))
    listener(VertexStarted(sha256(b""), time.time()))
    try:
        await trio.sleep_forever()
    finally:
        print("cleaned up", flush=True)

run.run_build = lambda project, options, listener: trio.run(sleep, listener)
sys.argv = ["bakery", "build", "--progress", "plain"]
main()
"""


def start(tmp_path: Path, *, ignored: bool = False) -> subprocess.Popen[str]:
    """The command, when its step has begun; with interrupts ignored, as a shell starts it in the background."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "BAKERY_ROOT": str(tmp_path / "root")}
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"' if ignored else 'exec "$@"', "sh", sys.executable, "-c", DRIVER],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "#1 RUN sleep\n"
    return process


@pytest.mark.parametrize("ignored", [False, True], ids=["in front", "in the background"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_build_tidily(number: int, code: int, ignored: bool, tmp_path: Path) -> None:
    process = start(tmp_path, ignored=ignored)
    process.send_signal(number)
    said, complained = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said, complained) == (code, "cleaned up\n", "\nERROR: canceled\n")


def test_a_question_that_comes_too_early_ends_nothing(tmp_path: Path) -> None:
    process = start(tmp_path)
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


EARLY = """
import signal, sys

class Impatient:
    def find_spec(self, name, path, target=None):
        if name == "click":
            signal.raise_signal(signal.NUMBER)

sys.meta_path.insert(0, Impatient())
from bakery.cli.main import main
sys.argv = ["bakery", "build"]
main()
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_comes_before_anything_else_shows_no_traceback(name: str, code: int) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", EARLY.replace("NUMBER", name)], env=environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "\nERROR: canceled\n")

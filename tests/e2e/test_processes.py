"""Several processes at one root, and some that are killed: common steps run once, and nobody waits for the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.patience import PATIENCE
from support.program import Program, Run

pytestmark = [pytest.mark.slow, pytest.mark.root]

SLOW = """FROM base AS common
RUN sleep {seconds}; cat /proc/sys/kernel/random/uuid > /common
FROM common
ARG N
RUN cat /common; echo $N > /n
"""
FIRST_FOR_EVER = SLOW.replace(
    "RUN sleep {seconds};", "RUN --mount=type=cache,target=/c mkdir /c/x && echo for ever && sleep 1000;"
)


@pytest.fixture
def project(program: Program) -> Program:
    write(program, SLOW.format(seconds=1))
    return program


def write(program: Program, dockerfile: str) -> None:
    target = {"contexts": {"base": "oci-layout://base"}, "output": ["type=local,dest=out"]}
    targets = {f"t{n}": {**target, "args": {"N": str(n)}, "output": [f"type=local,dest=out{n}"]} for n in range(8)}
    (program.folder / "docker-bake.json").write_text(json.dumps({"target": targets}))
    (program.folder / "Dockerfile").write_text(dockerfile)


def start(program: Program, target: str, *options: str) -> subprocess.Popen[str]:
    return program.start("build", "--progress=rawjson", *options, target)


def end(process: subprocess.Popen[str]) -> Run:
    out, err = process.communicate(timeout=PATIENCE)
    return Run(process.returncode, out, err)


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Reads what a process says until a vertex with `text` in its name is at work."""
    assert process.stderr is not None
    for line in process.stderr:
        for vertex in json.loads(line).get("vertexes") or ():
            if text in vertex["name"] and vertex.get("started") and not vertex.get("completed"):
                return
    raise AssertionError(f"{text} never began")


def wait_for_words(process: subprocess.Popen[str], text: str) -> None:
    """Reads what a process says until a step says `text`."""
    assert process.stderr is not None
    said = b""
    while text.encode() not in said:
        line = process.stderr.readline()
        assert line, f"nobody said {text}"
        said += b"".join(b64decode(log["data"]) for log in json.loads(line).get("logs") or ())


@pytest.mark.parametrize("count", [2, 8])
def test_processes_at_one_root_run_a_common_step_once(project: Program, count: int) -> None:
    runs = [end(p) for p in [start(project, f"t{n}") for n in range(count)]]
    assert [run.code for run in runs] == [0] * count, [run.err[-500:] for run in runs]
    assert sum(run.ran_times("RUN sleep") for run in runs) == 1
    results = {(project.folder / f"out{n}/common").read_text() for n in range(count)}
    assert len(results) == 1
    assert [(project.folder / f"out{n}/n").read_text() for n in range(count)] == [f"{n}\n" for n in range(count)]


def test_killing_the_process_that_works_neither_fails_nor_blocks_the_other(project: Program) -> None:
    write(project, FIRST_FOR_EVER)
    first = start(project, "t0")
    wait_for_words(first, "for ever")
    second = start(project, "t1")
    time.sleep(1)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    run = end(second)
    assert run.code == 0, run.err[-1000:]
    assert run.ran_times("sleep 1000") == 1
    assert (project.folder / "out1/n").read_text() == "1\n"


def test_killing_the_process_that_waits_does_not_trouble_the_one_that_works(project: Program) -> None:
    first = start(project, "t0")
    wait_for(first, "RUN sleep")
    second = start(project, "t1")
    time.sleep(0.5)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    assert end(first).code == 0


def test_an_interrupted_step_is_told_as_cancelled(project: Program) -> None:
    write(project, SLOW.format(seconds=1000))
    process = start(project, "t0")
    wait_for(process, "RUN sleep")
    process.send_signal(signal.SIGINT)
    run = end(process)
    assert run.code == 130
    (step,) = (v for v in run.vertices.values() if "RUN sleep" in v["name"])
    assert step.get("completed")
    assert step["error"].endswith("context canceled")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_build_tells_how_each_target_ended(project: Program, number: int, code: int) -> None:
    write(project, SLOW.format(seconds=1000))
    process = project.start("build", "--progress=rawjson", "--metadata-file=meta.json", "t0", "t1")
    wait_for(process, "RUN sleep")
    process.send_signal(number)
    assert end(process).code == code
    ended = json.loads((project.folder / "meta.json").read_text())
    assert {name: target["bakery.outcome"] for name, target in ended.items()} == {"t0": "cancelled", "t1": "cancelled"}
    shown = project.run("history", "show").out
    assert "interrupted" in shown
    assert shown.count("cancelled") == 2


def test_a_build_that_is_interrupted_twice_tells_how_each_target_ended(project: Program) -> None:
    """The second comes while a program that does not want to end is waited for."""
    (project.folder / "Dockerfile").write_text("FROM base\nRUN --mount=type=secret,id=slow true\n")
    (project.folder / "docker-bake.json").unlink()
    (project.folder / "bakery.hcl").write_text(
        'target "default" {\n  contexts = { base = "oci-layout://base" }\n'
        "  secret = [\"id=slow,command=trap '' TERM; exec sleep 1000\"]\n}\n"
    )
    process = project.start(
        "build", "--progress=rawjson", "--metadata-file=meta.json", "--allow=secret.command", "default"
    )
    wait_for(process, "RUN ")
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    run = end(process)
    assert run.code == 130
    assert "Warning" not in run.err
    ended = json.loads((project.folder / "meta.json").read_text())
    assert ended["default"]["bakery.outcome"] == "cancelled"
    assert "interrupted" in project.run("history", "show").out


def test_failing_fast_ends_a_step_that_runs(project: Program) -> None:
    write(project, "FROM base\nARG N\nRUN test $N = 0 && exit 3 || sleep 1000\n")
    run = project.run("build", "--progress=rawjson", "--on-error=fail-fast", "--metadata-file=meta.json", "t0", "t1")
    assert run.code == 1
    ended = json.loads((project.folder / "meta.json").read_text())
    assert ended["t0"]["bakery.outcome"] == "failed"
    assert ended["t1"]["bakery.outcome"] == "cancelled"


def test_a_signal_asks_what_is_waited_for(project: Program) -> None:
    write(project, SLOW.format(seconds=1000))
    first = start(project, "t0")
    wait_for(first, "RUN sleep")
    second = start(project, "t1")
    assert second.stderr is not None
    while "RUN sleep" not in second.stderr.readline():
        pass
    text = ""
    while "waits for another process that does the same for " not in text:
        time.sleep(0.2)
        os.kill(second.pid, signal.SIGUSR1)
        logs = json.loads(second.stderr.readline()).get("logs") or ()
        text = b"".join(b64decode(log["data"]) for log in logs).decode()
    for process in (first, second):
        process.send_signal(signal.SIGINT)
    assert [end(first).code, end(second).code] == [130, 130]


@pytest.mark.parametrize("user", ["0", "1234"])
def test_a_killed_build_leaves_no_process_of_a_step(project: Program, user: str) -> None:
    seconds = f"9{int.from_bytes(os.urandom(3), 'big')}"
    write(project, f"FROM base\nARG N\nUSER {user}\nRUN sleep {seconds} & sleep {seconds}; true\n")
    process = start(project, "t0")
    wait_until(lambda: len(sleepers(seconds)) == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not sleepers(seconds))


def sleepers(seconds: str) -> list[Path]:
    """The processes of this machine that sleep for so long."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(folder)
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

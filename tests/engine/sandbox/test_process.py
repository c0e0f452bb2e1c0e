"""The process that watches a step: how it is ended."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from engine.events import Stream
from engine.sandbox.process import Command, run

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")]


def test_a_step_that_ends_by_itself_just_when_it_is_cancelled_has_ended() -> None:
    async def gone_already(pid: int) -> None:
        os.kill(pid, signal.SIGTERM)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  # at once

    async def cancelled() -> bool:
        with trio.CancelScope() as scope:
            scope.cancel()
            await run(Command(["/bin/sleep", "60"]), lambda *_: None, gone_already, bool)
        return scope.cancelled_caught

    assert trio.run(cancelled)


def test_what_is_said_on_both_ways_comes_whole() -> None:
    said = dict.fromkeys(Stream, b"")

    def listen(stream: Stream, data: bytes) -> None:
        said[stream] += data

    async def find(pid: int) -> None:
        raise AssertionError("nobody ends it")

    script = "for i in $(seq 20000); do echo out; echo err >&2; done"
    assert trio.run(run, Command(["/bin/sh", "-c", script], {"PATH": "/usr/bin:/bin"}), listen, find, bool) == 0
    assert said == {Stream.STDOUT: b"out\n" * 20000, Stream.STDERR: b"err\n" * 20000}

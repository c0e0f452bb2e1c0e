"""A git server's bad moments are outlasted; what will not change is told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from engine.errors import SourceError
from engine.sources.git_process import git

# Says what it is told to as often as it is told to, and then succeeds: the network's bad day, without waiting for one.
GIT = """#!/bin/sh
echo x >> "$HOME/calls"
if [ $(wc -l < "$HOME/calls") -le {times} ]; then echo "{words}" >&2; exit 128; fi
echo fine
"""


def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, words: str, times: int) -> tuple[str, int]:
    """What git's caller got, and how often git was run."""
    program = folder / "git"
    program.write_text(GIT.format(words=words, times=times))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(folder))

    async def main() -> str:
        try:
            return (await git(["ls-remote"], what="ask", remote="https://example.test/x.git")).decode().strip()
        except SourceError as error:
            return str(error)

    said = trio.run(main, clock=MockClock(rate=1000))
    return said, len((folder / "calls").read_text().splitlines())


@pytest.mark.parametrize(
    "words",
    [
        "error: RPC failed; curl 56 GnuTLS recv error",
        "fatal: unable to access 'https://x/': The requested URL returned error: 503",
        "kex_exchange_identification: Connection closed by remote host",
        "fatal: early EOF",
    ],
)
def test_bad_moments_are_outlasted(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(tmp_path, monkeypatch, words, times=3) == ("fine", 4)


@pytest.mark.parametrize(
    "words",
    [
        "fatal: Authentication failed for 'https://x/'",
        "fatal: unable to access 'https://x/': The requested URL returned error: 403",
        "fatal: unable to access 'https://x/': server certificate verification failed; connection reset",
        "fatal: couldn't find remote ref main",
    ],
)
def test_what_will_not_change_is_told_at_once(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, calls = ask(tmp_path, monkeypatch, words, times=9)
    assert said.startswith("cannot ask: ")
    assert calls == 1


def test_who_is_not_there_is_asked_three_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, calls = ask(tmp_path, monkeypatch, "fatal: unable to access 'https://x/': Could not resolve host: x", times=9)
    assert calls == 3


def test_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, calls = ask(tmp_path, monkeypatch, "error: RPC failed", times=99)
    assert calls == 6
    assert "RPC failed" in said

"""Values of secrets: from files, variables and commands. The last are run once, and never quoted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from support.patience import PATIENCE

from engine.errors import StepError
from engine.request import Secret
from engine.secret_values import MAX_SECRET, SecretReader

Read = Callable[[Secret], bytes | None]


@pytest.fixture
def read() -> Read:
    reader = SecretReader()
    return lambda secret: trio.run(reader.read, secret)


def test_files_and_variables(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_bytes(b"value\n")
    assert read(Secret("t", tmp_path / "token")) == b"value\n"
    monkeypatch.setenv("TOKEN", "given")
    assert read(Secret("t", env="TOKEN")) == b"given"
    monkeypatch.delenv("TOKEN")
    assert read(Secret("t", env="TOKEN")) is None
    with pytest.raises(StepError, match="secret t: cannot read .*/none: No such file"):
        read(Secret("t", tmp_path / "none"))


def test_a_command_says_the_value_in_its_folder_without_the_last_line_break(read: Read, tmp_path: Path) -> None:
    assert read(Secret("t", tmp_path, command="pwd; echo 'two words'")) == f"{tmp_path}\ntwo words".encode()


def test_a_command_is_run_once_however_many_ask(tmp_path: Path) -> None:
    reader = SecretReader()
    command = "echo x >> runs; sleep 0.1; wc -l < runs"

    async def ask_often() -> list[bytes | None]:
        said: list[bytes | None] = []

        async def ask(id: str) -> None:
            said.append(await reader.read(Secret(id, tmp_path, command=command)))

        async with trio.open_nursery() as nursery:
            for id in ("a", "b", "a"):
                nursery.start_soon(ask, id)
        return said

    assert trio.run(ask_often) == [b"1", b"1", b"1"]
    reader.forget()
    assert trio.run(ask_often) == [b"2", b"2", b"2"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("echo hush; echo hush >&2; exit 3", "secret t: its command `.*` ended with exit code 3"),
        ("kill -9 $$", "was ended by SIGKILL"),
        ("true", "wrote nothing"),
        ("no-such-command", "ended with exit code 127"),
        (f"head -c {MAX_SECRET + 1} /dev/zero", "secret t is longer than 500 KiB"),
        ("while echo too much; do :; done", "secret t is longer than 500 KiB"),
    ],
)
def test_a_command_that_fails_is_named_and_not_quoted(read: Read, command: str, problem: str) -> None:
    with pytest.raises(StepError, match=problem) as caught:
        read(Secret("t", command=command))
    assert "hush" not in caught.value.message.replace(command, "")
    assert "hush" not in caught.value.hint


def test_a_folder_that_is_not_there_is_an_error(read: Read, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot be run: .*none"):
        read(Secret("t", tmp_path / "none", command="echo x"))


def test_a_command_ends_with_the_build(tmp_path: Path) -> None:
    async def give_up() -> None:
        command = "echo $$ > new; mv new pid; exec sleep 1000"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(SecretReader().read, Secret("t", tmp_path, command=command))
            with trio.fail_after(PATIENCE):
                while not (tmp_path / "pid").exists():
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    trio.run(give_up)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_what_a_command_has_started_ends_with_it(tmp_path: Path) -> None:
    """The one clears up when it is asked to end, the other does not listen."""
    (tmp_path / "tidy").write_text("trap 'touch tidied; exit' TERM; touch tidy-there; while :; do sleep 0.05; done")
    (tmp_path / "deaf").write_text("trap '' TERM; echo $$ > new; mv new deaf-there; while :; do sleep 0.05; done")

    async def give_up() -> None:
        command = "sh deaf & sh tidy & wait"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(SecretReader().read, Secret("t", tmp_path, command=command))
            with trio.fail_after(PATIENCE):
                while not all((tmp_path / name).exists() for name in ("tidy-there", "deaf-there")):
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    trio.run(give_up)
    assert (tmp_path / "tidied").exists()
    deaf, until = int((tmp_path / "deaf-there").read_text()), time.monotonic() + PATIENCE
    while is_running(deaf):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(process: int) -> bool:
    """One that has ended may still have its number, where nobody asks how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "XZ"
    except FileNotFoundError:
        return False

"""What goes wrong before a native step begins has a name, whichever of its three processes it meets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kitchen import Kitchen

from engine.errors import StepError
from engine.sandbox import native

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount"),
    pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs the package busybox-static"),
]

IMPOSSIBLE = 0x800
"""CLONE_SIGHAND, which clone(2) refuses without CLONE_VM."""


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    kitchen = Kitchen(tmp_path, "native")
    yield kitchen
    kitchen.store.close()
    kitchen.state.close()


@pytest.mark.parametrize(
    ("flag", "problem"), [("_NEWPID", "cannot make a PID namespace"), ("_NEWUTS", "cannot make namespaces")]
)
def test_namespaces_that_the_kernel_refuses(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, flag: str, problem: str
) -> None:
    monkeypatch.setattr(native, flag, getattr(native, flag) | IMPOSSIBLE)
    with pytest.raises(StepError, match=f"the sandbox could not be set up: {problem}$"):
        kitchen.step("true")


def test_a_folder_that_cannot_be_entered(kitchen: Kitchen) -> None:
    with pytest.raises(StepError, match="the sandbox could not be set up: cannot change to the folder /etc/passwd$"):
        kitchen.step("true", cwd="/etc/passwd")


def test_the_end_of_a_step_is_that_of_its_first_process() -> None:
    for reported, code in ((b"r" + word(42 << 8) + word(0), 42), (b"r" + word(9) + word(0), -9)):
        ending = native._Ending(0, reported)
        assert (ending.reached, ending.not_executable, ending.code) == (True, False, code)
    killed = native._Ending(-9, b"r")  # the watcher, and with it all the others
    assert (killed.reached, killed.code) == (True, -9)


def word(number: int) -> bytes:
    return number.to_bytes(4, "little")

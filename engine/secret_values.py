"""The values of secrets: read where they are when a step or a source needs them, and written nowhere.

A command is run once in a build, and only when something that really runs asks for its secret. Nothing of what it says
goes into an error: that may be the very secret.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import trio

from engine.errors import StepError
from engine.request import Secret

MAX_SECRET = 500 << 10
"""Bytes; BuildKit's limit."""
_SHELL = "/bin/sh"
_PATIENCE, _OFTEN = 5.0, 0.02
"""Seconds that a command has to end when it is told to, and from one look to the next whether it has."""


class SecretReader:
    """Reads secrets for one build; what commands said is kept in memory until `forget`."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, Path | None], bytes] = {}
        self._asking: dict[tuple[str, Path | None], trio.Lock] = {}

    async def read(self, secret: Secret) -> bytes | None:
        """The value of a secret; None if it is to come from a variable that is not set.

        A command's value is what it writes, without the line breaks at its end, as in `$(command)`. Commands run in
        `/bin/sh`, in the folder of the secret, without input and without a terminal.

        Raises:
            StepError: if it cannot be read, is too long, or its command fails or says nothing.
        """
        if secret.env is not None:
            value = os.environb.get(os.fsencode(secret.env))
        elif secret.command is not None:
            value = await self._said_by(secret, secret.command)
        elif secret.path is not None:
            value = _content(secret.id, secret.path)
        else:
            raise StepError(f"secret {secret.id} has neither a file nor a variable nor a command")
        if value is not None and len(value) > MAX_SECRET:
            raise StepError(f"secret {secret.id} is longer than {MAX_SECRET >> 10} KiB")
        return value

    def forget(self) -> None:
        """Another build begins: commands will be asked anew."""
        self._said.clear()

    async def _said_by(self, secret: Secret, command: str) -> bytes:
        key = (command, secret.path)
        async with self._asking.setdefault(key, trio.Lock()):
            if key not in self._said:
                self._said[key] = await _run(secret.id, command, secret.path)
            return self._said[key]


def _content(id: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET + 1)
    except OSError as error:
        raise StepError(f"secret {id}: cannot read {path}: {error.strerror}") from error


async def _run(id: str, command: str, folder: Path | None) -> bytes:
    """What a command writes. It ends with the build, however that ends, as far as it obeys SIGTERM or SIGKILL."""
    import subprocess  # few secrets come from commands, and many builds have none at all

    hint = "run it in a shell to see what it says; that is not shown here, for it may be the secret"
    said = bytearray()
    try:
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(
                partial(
                    trio.run_process,
                    [_SHELL, "-c", command],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    start_new_session=True,  # with all that it starts
                    deliver_cancel=_end,
                )
            )
            assert process.stdout is not None
            async for chunk in process.stdout:
                said += chunk
                if len(said) > MAX_SECRET + 1:
                    _signal(process, signal.SIGKILL)
                    break
    except* OSError as failed:
        reason = failed.exceptions[0]
        raise StepError(f"secret {id}: its command `{command}` cannot be run: {reason}") from None
    if len(said) <= MAX_SECRET and process.returncode:
        how = _ending(process.returncode)
        raise StepError(f"secret {id}: its command `{command}` {how}", hint=hint)
    value = bytes(said).rstrip(b"\r\n")
    if not value:
        raise StepError(f"secret {id}: its command `{command}` wrote nothing", hint=hint)
    return value


async def _end(process: trio.Process) -> None:
    """Asks a program and all that it has started to end, and makes those end that do not.

    Shielded, for trio waits only for the program itself: what it started may be about to clear secrets away.
    """
    with trio.CancelScope(shield=True):
        with trio.move_on_after(_PATIENCE):
            there = _signal(process, signal.SIGTERM)
            while there:
                await trio.sleep(_OFTEN)
                there = _signal(process, 0)
        _signal(process, signal.SIGKILL)


def _signal(process: trio.Process, number: int) -> bool:
    """Sends a signal to all processes of a program's session; whether there are any."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # all that is left belongs to others, as a set-user-ID program does
        return False
    return True


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"

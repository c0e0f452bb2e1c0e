"""The user's SSH agent in a step: a socket of its own with the owner and mode asked for, joined to the agent's."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import trio

from engine.errors import StepError, disk_hint

_CHUNK = 1 << 16


@asynccontextmanager
async def agent_for(paths: Sequence[Path], folder: Path) -> AsyncIterator[Path]:
    """The socket of an agent: the user's own if no paths are given, the one at the path, or one with those keys.

    `folder` takes the socket of an agent that had to be started; it ends with the block.

    Raises:
        StepError: if there is no agent, or a key cannot be loaded.
    """
    if not paths:
        socket = os.environ.get("SSH_AUTH_SOCK")
        if not socket:
            raise StepError(
                "there is no SSH agent: SSH_AUTH_SOCK is not set", hint="start ssh-agent, or name key files"
            )
        yield Path(socket)
        return
    if len(paths) == 1 and paths[0].exists() and stat.S_ISSOCK(paths[0].stat().st_mode):
        yield paths[0]
        return
    socket_path = folder / "keys.sock"
    pid = await trio.to_thread.run_sync(_start_agent, socket_path, paths)
    try:
        yield socket_path
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@asynccontextmanager
async def forwarded(agent: Path, socket: Path, uid: int, gid: int, mode: int) -> AsyncIterator[None]:
    """Serves a socket at `socket` whose every connection is passed on to the agent's. Raises StepError."""
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        with _short(socket) as name:
            await listener.bind(name)
        os.chown(socket, uid, gid)
        os.chmod(socket, mode)
    except OSError as error:
        listener.close()
        problem = f"cannot forward the SSH agent: {error.strerror or error}"
        raise StepError(problem, hint=disk_hint(error)) from error
    listener.listen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, lambda stream: _join(stream, agent), [trio.SocketListener(listener)])
        yield
        nursery.cancel_scope.cancel()


@contextmanager
def _short(socket: Path) -> Iterator[str]:
    """A name of a socket that fits into the 107 bytes of an address, however deep it lies."""
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)


async def _join(inside: trio.SocketStream, agent: Path) -> None:
    with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        with _short(agent) as name:
            outside = await trio.open_unix_socket(name)
        async with outside, trio.open_nursery() as nursery:
            nursery.start_soon(_copy, inside, outside)
            await _copy(outside, inside)
            nursery.cancel_scope.cancel()


async def _copy(source: trio.SocketStream, target: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await source.receive_some(_CHUNK):
            await target.send_all(data)
        await target.send_eof()


def _start_agent(socket: Path, keys: Sequence[Path]) -> int:
    try:
        started = subprocess.run(
            ["ssh-agent", "-s", "-a", socket.name], capture_output=True, check=True, text=True, cwd=socket.parent
        )
        pid = int(started.stdout.partition("SSH_AGENT_PID=")[2].partition(";")[0])
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise StepError("cannot start ssh-agent", hint="install the OpenSSH client") from error
    try:
        for key in keys:
            # No terminal and no askpass: a key with a passphrase is refused instead of waiting for ever.
            environment = {"PATH": os.environ.get("PATH", os.defpath), "SSH_AUTH_SOCK": socket.name}
            added = subprocess.run(
                ["ssh-add", "-q", str(key.absolute())],
                cwd=socket.parent,
                capture_output=True,
                env=environment,
                stdin=subprocess.DEVNULL,
                text=True,
                check=False,
                start_new_session=True,
            )
            if added.returncode:
                hint = "a key with a passphrase must be loaded into your own agent first"
                raise StepError(f"cannot load the SSH key {key}: {added.stderr.strip()}", hint=hint)
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        raise
    return pid

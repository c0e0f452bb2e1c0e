"""A network of its own for a step: what is outside is reached as from this machine, what listens in it is not.

`pasta` or `slirp4netns` carry what the step sends into a network namespace's only device to ordinary sockets of this
user, and back: no bridge, no firewall rule, no root. One runs for each step. It dies with the thread that started it,
as steps do, so none is left however bakery ends.

Programs: pasta(1) of passt, slirp4netns(1). Their options are those that their oldest packages still in use know.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path

import trio

from engine.errors import StepError, UnsupportedError
from engine.sandbox.entry import bound_to_parent
from engine.snapshots import namespace, user_namespace
from engine.snapshots.kernel import CLONE_NEWNET, MS_BIND, mount, unmount, unshare
from engine.snapshots.user_namespace import Ids

CONNECTORS = ("pasta", "slirp4netns")
RESOLVER = "10.0.2.3"
"""Where name servers that only this machine can reach answer in a private network: slirp4netns's own address for it."""
_MTU = "65520"
_READY = 3
"""The descriptor that slirp4netns writes to when it is ready."""
_FREE = 16
_PATIENCE = 10.0
"""Seconds for a connector to be ready."""
_SAID = 2000


def find_connector(local_names: bool = False) -> Path:
    """The program that connects private networks, the one that suits best of those that are installed.

    pasta hides all services of this machine, slirp4netns those that listen on its loopback device alone; but
    slirp4netns passes questions on to name servers there (`local_names`) in all its versions.

    Raises:
        UnsupportedError: where there is none.
    """
    for name in reversed(CONNECTORS) if local_names else CONNECTORS:
        if path := shutil.which(name) or shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin"):
            return Path(path)
    raise UnsupportedError(
        "steps cannot have a private network: neither pasta nor slirp4netns is installed",
        hint="install the package passt or slirp4netns, or leave out --step-network",
    )


@asynccontextmanager
async def private_network(folder: Path, local_names: bool) -> AsyncIterator[int]:
    """An open network namespace that is connected while the block lasts; `folder` takes files for as long.

    `local_names` says that the name servers are on this machine's loopback device: `RESOLVER` answers for them.

    Raises:
        UnsupportedError: where no connector is installed, or the kernel allows no network namespace.
        StepError: if the connector does not come up.
    """
    connector = find_connector(local_names)
    inside = _new_namespace()
    try:
        place = folder / "network"
        place.touch()
        namespace.enter()
        # By a file of its own: what is inherited as a descriptor some versions of pasta close before they look at it.
        mount(f"/proc/self/fd/{inside}", place, flags=MS_BIND)
        try:
            async with _connected(connector, place, folder, local_names):
                yield inside
        finally:
            namespace.enter()
            unmount(place)
    finally:
        os.close(inside)


def _new_namespace() -> int:
    made: list[int | OSError] = []

    def make() -> None:
        try:
            unshare(CLONE_NEWNET)  # this thread's alone; the open file keeps it when the thread is gone
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make, name="network")
    thread.start()
    thread.join()
    (found,) = made
    if isinstance(found, OSError):
        raise UnsupportedError(f"steps cannot have a private network: {found.strerror}") from found
    return found


@asynccontextmanager
async def _connected(connector: Path, place: Path, folder: Path, local_names: bool) -> AsyncIterator[None]:
    ready = folder / "network-ready"
    os.mkfifo(ready, 0o600)
    with (
        FileIO(os.open(ready, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "r") as told,
        (folder / "network-log").open("w+b") as log,
    ):
        process = _start(_arguments(connector, place, ready, local_names), ready, log.fileno())
        try:
            with trio.move_on_after(_PATIENCE):
                await _ready(told, process)
            if not told.read(1):
                log.seek(0)
                said = log.read(_SAID).decode(errors="replace").strip()
                raise StepError(f"{connector.name} cannot connect the step's network: {said or 'it is not ready'}")
            yield
        finally:
            process.kill()
            process.wait()


def _start(args: list[str], ready: Path, log: int) -> subprocess.Popen[bytes]:
    # Opened for both ways: a FIFO that is only written to waits for its reader, and ends with it.
    end = os.open(ready, os.O_RDWR | os.O_CLOEXEC)
    high = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE)
    os.close(end)
    program = bound_to_parent(args, {high: _READY}).memory_file()
    try:
        # Not in a worker thread: it dies with the thread that starts it.
        return subprocess.Popen(
            args,
            executable=f"/proc/self/fd/{program}",
            env={},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[program, high],
            start_new_session=True,
        )
    except OSError as error:
        raise StepError(f"cannot start {args[0]}: {error.strerror}") from error
    finally:
        os.close(high)
        os.close(program)


def _arguments(connector: Path, place: Path, ready: Path, local_names: bool) -> list[str]:
    if connector.name == "slirp4netns":
        sockets = ["--configure", f"--mtu={_MTU}", "--disable-host-loopback", f"--ready-fd={_READY}"]
        return [str(connector), *sockets, "--netns-type=path", str(place), "tap0"]
    # As root it would become nobody before it enters the namespace, and be refused.
    user = ["--runas", "0:0"] if user_namespace.ids() is Ids.ALL else []
    names = ["--dns-forward", RESOLVER] if local_names else []
    ports = ["-t", "none", "-u", "none", "-T", "none", "-U", "none"]
    where = ["--netns", str(place), "--pid", str(ready)]
    return [str(connector), "--foreground", "--quiet", *user, "--config-net", "--no-map-gw", *names, *ports, *where]


async def _ready(told: FileIO, process: subprocess.Popen[bytes]) -> None:
    """Returns when the connector has said that it is ready, or is gone."""
    gone = os.pidfd_open(process.pid)
    try:
        async with trio.open_nursery() as nursery:

            async def wait_for(fd: int) -> None:
                with suppress(OSError):
                    await trio.lowlevel.wait_readable(fd)
                nursery.cancel_scope.cancel()

            nursery.start_soon(wait_for, told.fileno())
            nursery.start_soon(wait_for, gone)
    finally:
        os.close(gone)

"""A line with bad days: a TCP proxy that plays one trick on each connection, in the order given, then none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """Ends the connection after so many bytes of answers."""

    after: int


@dataclass(frozen=True)
class Flip:
    """Changes one byte of the answers, that at `at`; with `every`, another one each so many bytes."""

    at: int
    every: int = 1 << 60


@dataclass(frozen=True)
class Answer:
    """Answers itself, and closes."""

    status: str
    headers: str = ""


@dataclass(frozen=True)
class Silence:
    """Takes what comes and never says a word."""


@dataclass(frozen=True)
class CutUpload:
    """Ends the connection after so many bytes of requests."""

    after: int


Trick = Cut | Flip | Answer | Silence | CutUpload | None


@dataclass
class Proxy:
    port: int
    connections: int = 0

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"


@contextmanager
def faulty_proxy(target: int, tricks: Sequence[Trick]) -> Iterator[Proxy]:
    """`target` is the port that is passed on to."""
    server = socket.create_server(("127.0.0.1", 0))
    proxy, todo, open_sockets = Proxy(server.getsockname()[1]), iter(tricks), [server]

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            proxy.connections += 1
            open_sockets.append(client)
            threading.Thread(target=_play, args=(client, target, next(todo, None), open_sockets), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield proxy
    finally:
        for item in open_sockets:
            _close(item)


def _play(client: socket.socket, target: int, trick: Trick, open_sockets: list[socket.socket]) -> None:
    if isinstance(trick, Answer):
        client.recv(65536)
        reply = f"HTTP/1.1 {trick.status}\r\n{trick.headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
        client.sendall(reply.encode())
        _close(client)
        return
    if isinstance(trick, Silence):
        while client.recv(65536):
            pass
        return
    upstream = socket.create_connection(("127.0.0.1", target))
    open_sockets.append(upstream)
    limit = trick.after if isinstance(trick, CutUpload) else None
    threading.Thread(target=_pump, args=(client, upstream, limit, None), daemon=True).start()
    cut = trick.after if isinstance(trick, Cut) else None
    _pump(upstream, client, cut, trick if isinstance(trick, Flip) else None)


def _pump(source: socket.socket, sink: socket.socket, cut: int | None, flip: Flip | None) -> None:
    done = 0
    with suppress(OSError):
        while data := source.recv(65536):
            if flip is not None:
                changed = bytearray(data)
                for at in range(flip.at, done + len(data), flip.every):
                    if at >= done:
                        changed[at - done] ^= 0xFF
                data = bytes(changed)
            if cut is not None and done + len(data) > cut:
                sink.sendall(data[: cut - done])
                break
            sink.sendall(data)
            done += len(data)
    _close(source)
    _close(sink)


def _close(item: socket.socket) -> None:
    with suppress(OSError):
        item.shutdown(socket.SHUT_RDWR)
    item.close()

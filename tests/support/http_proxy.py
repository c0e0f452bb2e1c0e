"""A web proxy: passes requests on, or whole connections after CONNECT, and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class HttpProxy:
    port: int
    asked: list[str] = field(default_factory=list)
    """The first words of each connection: `CONNECT host:port`, `GET http://host/path`."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def http_proxy() -> Iterator[HttpProxy]:
    server = socket.create_server(("127.0.0.1", 0))
    proxy = HttpProxy(server.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_serve, args=(client, proxy), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def _serve(client: socket.socket, proxy: HttpProxy) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(65536)
        if not piece:
            return
        head += piece
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    proxy.asked.append(f"{method} {target}")
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        upstream = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        # The registry understands the absolute form, and ends the connection with its answer.
        place = urlsplit(target)
        upstream = socket.create_connection((place.hostname or "", place.port or 80))
        upstream.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    threading.Thread(target=_pump, args=(client, upstream), daemon=True).start()
    _pump(upstream, client)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for item in (source, sink):
        with suppress(OSError):
            item.shutdown(socket.SHUT_RDWR)

"""A Docker engine of a few lines on a unix socket: it keeps what it is given to load, and says what a name means."""

from __future__ import annotations

import io
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import unquote

import trustme


class DockerEngine:
    """What was loaded: archives as they came, and the ID of each name. With `refuses` it takes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archives: list[bytes] = []
        self.names: dict[str, str] = {}
        self.refuses = ""

    def take(self, archive: bytes) -> list[dict[str, Any]]:
        if self.refuses:
            return [{"errorDetail": {"message": self.refuses}, "error": self.refuses}]
        self.archives.append(archive)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            file = tar.extractfile("manifest.json")
            assert file is not None
            for image in json.load(file):
                for name in image["RepoTags"] or []:
                    self.names[name] = "sha256:" + image["Config"].rpartition("/")[2]
        return [{"stream": "Loaded image"}]


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class _TLSServer(ThreadingMixIn, TCPServer):
    daemon_threads = True

    def __init__(self, folder: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder / "server.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever is turned away at the door is told so; nobody else need be."""


@contextmanager
def docker_engine(path: Path) -> Iterator[DockerEngine]:
    engine = DockerEngine(path)
    with _serving(_Server(str(path), _handler(engine))):
        yield engine


@contextmanager
def docker_engine_behind_tls(folder: Path) -> Iterator[tuple[DockerEngine, str]]:
    """One that wants its clients to have a certificate, which is put into the folder; and its `tcp://` address."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    mine = authority.issue_cert("baker@example.org")
    mine.private_key_pem.write_to_path(folder / "key.pem")
    mine.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    engine = DockerEngine(folder)
    server = _TLSServer(folder, _handler(engine))
    with _serving(server):
        yield engine, f"tcp://localhost:{server.server_address[1]}"


def _handler(engine: DockerEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            self._answer(200, "".join(json.dumps(line) + "\r\n" for line in engine.take(data)))

        def do_GET(self) -> None:
            name = unquote(self.path.removeprefix("/images/").removesuffix("/json"))
            short = name.removeprefix("docker.io/").removeprefix("library/")
            found = engine.names.get(short)
            self._answer(200 if found else 404, json.dumps({"Id": found} if found else {"message": "no such image"}))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def address_string(self) -> str:
            return "socket"

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def _serving(server: _Server | _TLSServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()

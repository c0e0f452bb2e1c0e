"""A web server for a test: files with ETags and times, requests counted; and repositories, by git's own CGI."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class WebServer:
    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    repositories: Path | None = None
    authorization: str = ""
    """What a request must carry, if set."""
    seen: list[tuple[str, int]] = field(default_factory=list)
    """Each path that was asked for, and the status of the answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web_server() -> Iterator[WebServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            if web.authorization and self.headers.get("authorization") != web.authorization:
                self.reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
            elif web.repositories and ".git/" in self.path:
                self.git(web.repositories)
            elif self.path not in web.files:
                self.reply(404, b"")
            else:
                data = web.files[self.path]
                headers = {"ETag": f'"{hashlib.md5(data).hexdigest()}"', **web.headers.get(self.path, {})}
                same = self.headers.get("if-none-match") == headers["ETag"]
                self.reply(304 if same else 200, b"" if same else data, headers)

        def reply(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
            web.seen.append((self.path, status))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def git(self, root: Path) -> None:
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("content-length") or 0)
            env = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
                "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"], input=self.rfile.read(length), env=env, capture_output=True, check=False
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            status = int(headers.pop("Status", "200").split()[0])
            self.reply(status, body, headers)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = WebServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()

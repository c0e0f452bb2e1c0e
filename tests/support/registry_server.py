"""A real registry server (Debian's docker-registry) for a test, on a free port, with its own folder."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# tester, "secret": docker-registry takes bcrypt only, which the standard library does not make.
HTPASSWD = "tester:$2y$04$wpAipCgM6pCU48XszNhVOuOtEfGkEvcDe4gLgo9Bldr6pmK4UABdu\n"


@dataclass(frozen=True)
class RegistryServer:
    """A running registry. `host` is how to name it."""

    port: int
    folder: Path
    log: Path

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def requests(self) -> list[str]:
        """What it was asked, as `GET /v2/…`."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line.split('"')[1].rsplit(" ", 1)[0] for line in lines if '"' in line and " HTTP/1." in line]

    def blob_path(self, digest: str) -> Path:
        hexes = digest.partition(":")[2]
        return self.folder / "docker/registry/v2/blobs/sha256" / hexes[:2] / hexes / "data"


@contextmanager
def registry_server(
    folder: Path,
    *,
    auth: bool = False,
    certificate: Path | None = None,
    key: Path | None = None,
    clients: Path | None = None,
) -> Iterator[RegistryServer]:
    """`clients`: the authority that clients must have their certificates from."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = f"""version: 0.1
log: {{level: error, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {folder / "data"}}}, delete: {{enabled: true}}}}
http:
  addr: 127.0.0.1:{port}
  relativeurls: true
"""
    if certificate and key:
        wanted = f", clientcas: [{clients}]" if clients else ""
        config += f"  tls: {{certificate: {certificate}, key: {key}{wanted}}}\n"
    if auth:
        (folder / "htpasswd").write_text(HTPASSWD)
        config += f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}\n"
    (folder / "config.yml").write_text(config)
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=file, stderr=file)
    try:
        wait_for(port, process)
        yield RegistryServer(port, folder / "data", log)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}") from None
            time.sleep(0.02)
    raise RuntimeError("the server does not listen")


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()

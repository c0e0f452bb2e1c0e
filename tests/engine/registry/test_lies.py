"""Registries that say what is not so: a server of a few lines tells each lie, and nothing of it is believed."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time
from typing import TypeVar

import pytest
import trio
from support.patience import PATIENCE

from engine import oci
from engine.blobs import BlobStore, CorruptBlob
from engine.digests import sha256
from engine.errors import EngineError, RegistryError
from engine.registry.client import Registries
from engine.registry.credentials import CredentialStore
from engine.registry.retry import Patience
from engine.registry.settings import RegistrySettings
from engine.state import State

T = TypeVar("T")
QUICK = Patience(attempts=4, first=0.01, longest=0.05, silence=20.0, connect=20.0, asked=60.0)
BLOB = bytes(range(256)) * 1024
DESCRIPTOR = oci.describe(BLOB, oci.OCI_LAYER)
MANIFEST = oci.document_bytes(oci.Manifest(oci.describe(b"{}", oci.OCI_CONFIG), (DESCRIPTOR,)))


@dataclass(frozen=True)
class Says:
    """An answer; a body that is shorter than its `Content-Length` ends in a cut."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    flow: Callable[[Callable[[bytes], object]], None] | None = None
    """Instead of a body: what writes its chunks."""


@dataclass
class Liar:
    """`answers` gives what is said to each request, by its number among those of its path; `heard` is what came."""

    port: int
    heard: list[tuple[str, str]] = field(default_factory=list)
    """Paths, and what was said in `Authorization`."""

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def times(self, path: str) -> int:
        return sum(heard.partition("?")[0] == path for heard, _ in self.heard)


@contextmanager
def liar(answers: Callable[[Liar, str, int], Says]) -> Iterator[Liar]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            number = said.times(path)
            said.heard.append((self.path, self.headers.get("authorization", "")))
            answer = answers(said, path, number)
            self.send_response(answer.status)
            length = {"Transfer-Encoding": "chunked"} if answer.flow else {"Content-Length": str(len(answer.body))}
            # Whoever closes a connection without a word sometimes meets the next request on it.
            for key, value in {"Connection": "close", **length, **answer.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if answer.flow:
                answer.flow(self.wfile.write)
            elif self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    said = Liar(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield said
    finally:
        server.shutdown()
        server.server_close()


def run(work: Callable[[Registries], Awaitable[T]], folder: Path | None = None) -> T:
    async def main() -> T:
        credentials = CredentialStore({"DOCKER_CONFIG": str(folder or "/none")})
        with trio.fail_after(PATIENCE):
            async with Registries(RegistrySettings(), credentials, QUICK) as registries:
                return await work(registries)

    return trio.run(main)


def login(folder: Path, host: str) -> Path:
    auth = base64.b64encode(b"tester:secret").decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return folder


async def blob(registries: Registries, name: str) -> bytes:
    return b"".join([piece async for piece in registries.blob(name, DESCRIPTOR)])


def manifest_of(document: bytes, **headers: str) -> Callable[[Liar, str, int], Says]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda *_: Says(document, headers={"Content-Type": oci.OCI_MANIFEST, **named})


def test_a_token_server_with_a_bad_day_is_asked_again(tmp_path: Path) -> None:
    def answers(said: Liar, path: str, number: int) -> Says:
        if path == "/token":
            return Says(status=500) if number < 2 else Says(b'{"token": "good"}')
        if said.heard[-1][1] != "Bearer good":
            challenge = f'Bearer realm="http://{said.host}/token",service="s",scope="repository:app:pull"'
            return Says(status=401, headers={"WWW-Authenticate": challenge})
        return Says(BLOB)

    with liar(answers) as said:
        folder = login(tmp_path, said.host)
        assert run(lambda registries: blob(registries, f"{said.host}/app"), folder) == BLOB
    assert said.times("/token") == 3


@pytest.mark.parametrize("token", [b"", b"[]", b'{"token": ["x"]}', b'{"token": "a\\nb"}', b'{"expires_in": "soon"}'])
def test_a_token_that_is_none_ends_in_a_clear_error(token: bytes) -> None:
    def answers(said: Liar, path: str, number: int) -> Says:
        if path == "/token":
            return Says(token)
        return Says(status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{said.host}/token"'})

    with liar(answers) as said, pytest.raises(RegistryError, match="answered a request for a token with something"):
        run(lambda registries: registries.manifest(f"{said.host}/app"))


ENDLESS = 64 << 20
"""Bytes after which a server gives up whose body has no end; many times what a connection holds on its way."""


def without_end(write: Callable[[bytes], object]) -> int:
    """How many bytes of a body in chunks were taken until the other side had enough."""
    piece, sent = bytes(1 << 16), 0
    with suppress(OSError):
        while sent < ENDLESS:
            write(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += len(piece)
    return sent


@pytest.mark.parametrize("place", ["token", "challenge"])
def test_a_body_without_an_end_is_not_waited_for(place: str) -> None:
    taken: list[int] = []
    given_up = threading.Event()

    def flow(write: Callable[[bytes], object]) -> None:
        taken.append(without_end(write))
        given_up.set()

    def answers(said: Liar, path: str, number: int) -> Says:
        if path == "/token":
            return Says(flow=flow) if place == "token" else Says(b'{"token": "t"}')
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{said.host}/token"'}
        return Says(status=401, headers=challenge, flow=flow if place == "challenge" and not number else None)

    with liar(answers) as said:
        with pytest.raises(RegistryError):
            run(lambda registries: registries.manifest(f"{said.host}/app"))
        assert given_up.wait(PATIENCE)
    assert taken[0] < ENDLESS


def test_a_token_server_that_stays_away_ends_in_an_error() -> None:
    def answers(said: Liar, path: str, number: int) -> Says:
        if path == "/token":
            return Says(status=503)
        return Says(status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{said.host}/token"'})

    with liar(answers) as said, pytest.raises(RegistryError, match="log in") as caught:
        run(lambda registries: registries.manifest(f"{said.host}/app"))
    assert caught.value.status == 503
    assert said.times("/token") == QUICK.attempts


def test_retry_after_may_be_a_date() -> None:
    def answers(said: Liar, path: str, number: int) -> Says:
        if number == 0:
            return Says(status=429, headers={"Retry-After": formatdate(time() - 5, usegmt=True)})
        return Says(MANIFEST, headers={"Content-Type": oci.OCI_MANIFEST})

    with liar(answers) as said:
        assert run(lambda registries: registries.manifest(f"{said.host}/app"))[1] == MANIFEST


def test_retry_after_a_date_in_an_hour_is_not_waited_for() -> None:
    late = formatdate(time() + 3600, usegmt=True)
    with (
        liar(lambda *_: Says(status=429, headers={"Retry-After": late})) as said,
        pytest.raises(RegistryError) as caught,
    ):
        run(lambda registries: registries.manifest(f"{said.host}/app"))
    assert caught.value.status == 429
    assert len(said.heard) == 1


def test_a_body_shorter_than_its_length_is_asked_for_to_its_end() -> None:
    def answers(said: Liar, path: str, number: int) -> Says:
        if number == 0:
            return Says(BLOB[:1000], headers={"Content-Length": str(len(BLOB))})
        return Says(BLOB)

    with liar(answers) as said:
        assert run(lambda registries: blob(registries, f"{said.host}/app")) == BLOB


@pytest.mark.parametrize("body", [BLOB[:-1], b""], ids=["one byte missing", "empty"])
def test_a_length_that_is_always_too_short_ends_in_an_error(body: bytes) -> None:
    with liar(lambda *_: Says(body)) as said, pytest.raises((RegistryError, CorruptBlob)):
        run(lambda registries: blob(registries, f"{said.host}/app"))


def test_more_bytes_than_the_manifest_says_are_not_taken(tmp_path: Path) -> None:
    state = State.open(tmp_path)
    store = BlobStore(state)
    with liar(lambda *_: Says(BLOB + b"more")) as said, pytest.raises(CorruptBlob, match="sends more than"):
        run(lambda registries: registries.fetch_blob_to(store, f"{said.host}/app", DESCRIPTOR))
    assert not store.has(DESCRIPTOR.digest)
    assert not list(state.work.iterdir())
    state.close()


def test_another_host_that_a_blob_is_redirected_to_is_never_told_who_we_are(tmp_path: Path) -> None:
    with liar(lambda *_: Says(BLOB)) as storage:

        def answers(said: Liar, path: str, number: int) -> Says:
            if not said.heard[-1][1]:
                return Says(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
            return Says(status=307, headers={"Location": f"http://{storage.host}/store/blob?signature=x"})

        with liar(answers) as said:
            folder = login(tmp_path, said.host)
            assert run(lambda registries: blob(registries, f"{said.host}/app"), folder) == BLOB
    assert storage.heard == [("/store/blob?signature=x", "")]
    assert any(authorization.startswith("Basic ") for _, authorization in said.heard)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://x/y", "//", "gopher:"])
def test_a_redirect_to_something_that_is_no_web_address_is_not_followed(place: str) -> None:
    with liar(lambda *_: Says(status=307, headers={"Location": place})) as said, pytest.raises(RegistryError):
        run(lambda registries: blob(registries, f"{said.host}/app"))


def test_redirects_in_circles_end() -> None:
    with (
        liar(lambda said, path, number: Says(status=307, headers={"Location": path})) as said,
        pytest.raises(RegistryError, match="in circles"),
    ):
        run(lambda registries: blob(registries, f"{said.host}/app"))


def test_a_manifest_without_end_is_not_read_to_its_end() -> None:
    big = b'{"x": "' + b" " * oci.MAX_MANIFEST + b'"}'
    with liar(manifest_of(big)) as said, pytest.raises(RegistryError, match="bigger than"):
        run(lambda registries: registries.manifest(f"{said.host}/app"))


def test_a_tag_whose_digest_is_of_other_bytes_is_refused() -> None:
    other = sha256(b"other")
    with liar(manifest_of(MANIFEST, Docker_Content_Digest=other)) as said, pytest.raises(CorruptBlob, match=other):
        run(lambda registries: registries.manifest(f"{said.host}/app:1"))


def test_another_manifest_than_the_digest_asked_for_is_refused() -> None:
    wanted = sha256(b"wanted")
    with liar(manifest_of(MANIFEST, Docker_Content_Digest=wanted)) as said, pytest.raises(CorruptBlob, match=wanted):
        run(lambda registries: registries.manifest(f"{said.host}/app@{wanted}"))


@pytest.mark.parametrize(
    ("kind", "document", "message"),
    [
        ("text/html", b"<html>log in</html>", "JSON"),
        (oci.OCI_MANIFEST, b"{}", "schemaVersion None"),
        (oci.OCI_MANIFEST, b"[" * 5000, "JSON"),
        (oci.OCI_MANIFEST, MANIFEST.replace(b'"layers"', b'"manifests": [], "layers"'), "both"),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            b'{"schemaVersion": 1, "name": "app", "fsLayers": [], "history": [], "signatures": []}',
            "schema",
        ),
    ],
    ids=["a page", "nothing", "a deep list", "both an index and an image", "schema 1"],
)
def test_what_is_no_manifest_is_refused_with_a_word(kind: str, document: bytes, message: str) -> None:
    with liar(manifest_of(document, Content_Type=kind)) as said, pytest.raises(EngineError, match=message):
        run(lambda registries: registries.manifest(f"{said.host}/app"))


@pytest.mark.parametrize("digest", ["sha256:zz", "md5:00", "../../etc/passwd", ""])
def test_a_digest_that_is_none_is_not_used(digest: str) -> None:
    with liar(manifest_of(MANIFEST, Docker_Content_Digest=digest)) as said:
        try:
            found = run(lambda registries: registries.head(f"{said.host}/app:1"))
        except RegistryError:
            return
    assert found is None

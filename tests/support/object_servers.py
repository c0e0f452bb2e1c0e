"""Little worlds for caches in object services: a bucket that checks signatures, and the cache of GitHub Actions."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ACCESS, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-test-1"


@dataclass
class Objects:
    """A running service. `objects` is what it holds, `seen` each request with the status of its answer."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    modified: dict[str, float] = field(default_factory=dict)
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    fail_next: int = 0
    """How many of the next requests are answered with 503."""
    conditional: bool = True
    """Whether it takes PUTs that are to replace only what the client has seen; 501 if not."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str, part: str) -> int:
        """How many successful requests there were of this method with this in their path."""
        return sum(m == method and part in unquote(path) and status < 300 for m, path, status in self.seen)


Answer = tuple[int, bytes, dict[str, str]]


@contextmanager
def serving(world: Objects, answer: Callable[[BaseHTTPRequestHandler, bytes], Answer]) -> Iterator[None]:
    """Serves on a free port while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if world.fail_next:
                world.fail_next -= 1
                status, data, headers = 503, b"slow down", {}
            else:
                status, data, headers = answer(self, body)
            world.seen.append((self.command, self.path, status))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_POST = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    world.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def s3_server() -> Iterator[Objects]:
    """S3 as far as caches need it: GET, HEAD, PUT and copies, each with a right signature."""
    world = Objects()

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        if problem := signature_problem(request, body):
            return 403, f"<Error><Code>SignatureDoesNotMatch</Code><Message>{problem}</Message></Error>".encode(), {}
        key = unquote(urlsplit(request.path).path)
        there = world.objects.get(key)
        if request.command == "PUT":
            conditions = "if-match" in request.headers or "if-none-match" in request.headers
            if conditions and not world.conditional:
                return 501, b"<Error><Code>NotImplemented</Code></Error>", {}
            if refused := condition_problem(request, there):
                return refused, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            source = request.headers.get("x-amz-copy-source")
            world.objects[key] = world.objects[unquote(source)] if source else body
            world.modified[key] = time.time()
            return 200, b"", {}
        if key not in world.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        headers = {"Last-Modified": formatdate(world.modified[key], usegmt=True), "ETag": etag(world.objects[key])}
        if request.command == "HEAD":
            return 200, b"", {**headers, "Content-Length": str(len(world.objects[key]))}
        return 200, world.objects[key], headers

    with serving(world, answer):
        yield world


def etag(data: bytes) -> str:
    """What tells one content from another."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def condition_problem(request: BaseHTTPRequestHandler, there: bytes | None) -> int:
    """The status that refuses a conditional PUT (S3 user guide, "Conditional requests"); 0 if it may go on."""
    if request.headers.get("if-none-match") == "*" and there is not None:
        return 412
    wanted = request.headers.get("if-match")
    if wanted and there is None:
        return 404
    return 412 if wanted and there is not None and wanted != etag(there) else 0


def signature_problem(request: BaseHTTPRequestHandler, body: bytes) -> str:
    """What is wrong with a request's Signature Version 4, reckoned from the request as it came; "" if nothing."""
    said = request.headers.get("authorization", "")
    if not said.startswith("AWS4-HMAC-SHA256 "):
        return "not signed"
    parts = dict(part.strip().split("=", 1) for part in said.partition(" ")[2].split(","))
    access, day, region, service, kind = parts["Credential"].split("/")
    payload = request.headers.get("x-amz-content-sha256", "")
    if (access, region, service, kind) != (ACCESS, REGION, "s3", "aws4_request"):
        return "wrong credential"
    if payload != hashlib.sha256(body).hexdigest():
        return "the body is not what was signed"
    names = parts["SignedHeaders"].split(";")
    unsigned = [n.lower() for n in request.headers if n.lower().startswith("x-amz-") and n.lower() not in names]
    if "host" not in names or unsigned:
        return f"unsigned headers {unsigned}"
    path, _, query = request.path.partition("?")
    lines = [f"{name}:{request.headers[name].strip()}" for name in names]
    canonical = "\n".join([request.command, path, query, *lines, "", parts["SignedHeaders"], payload])
    stamp = request.headers["x-amz-date"]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/{region}/s3/aws4_request\n{digest}"
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, "s3", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return "" if key.hex() == parts["Signature"] else "the signature does not match"


def actions_token(*scopes: tuple[str, int]) -> str:
    """A job's token: branches, and what is allowed there (1 read, 2 write)."""
    claims = {"ac": json.dumps([{"Scope": scope, "Permission": allowed} for scope, allowed in scopes])}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)]
    return ".".join([*parts, "signature"])


@dataclass
class Actions(Objects):
    """The cache service: entries by key, in the order in which they were finished."""

    reserved: set[str] = field(default_factory=set)
    blocks: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def actions_server() -> Iterator[Actions]:
    """Version 2 of the service, and the blob storage behind its URLs."""
    world = Actions()

    def answer(request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        parts = urlsplit(request.path)
        if parts.path.startswith("/blob/"):
            return blob(request, unquote(parts.path.removeprefix("/blob/")), parse_qs(parts.query), body)
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return 401, b"", {}
        asked = json.loads(body)
        method = parts.path.rpartition("/")[2]
        fields = {"CreateCacheEntry": create, "FinalizeCacheEntryUpload": finish, "GetCacheEntryDownloadURL": find}
        status, found = fields[method](asked)
        return status, json.dumps(found).encode(), {"Content-Type": "application/json"}

    def create(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if asked["key"] in world.reserved:
            return 409, {"code": "already_exists", "msg": "cache entry already exists"}
        world.reserved.add(asked["key"])
        return 200, {"ok": True, "signed_upload_url": f"{world.url}/blob/{asked['key']}?sig=1".replace("#", "%23")}

    def finish(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        data = world.blocks.pop(asked["key"])
        assert len(data) == int(asked["size_bytes"])
        world.objects[asked["key"]] = data
        return 200, {"ok": True, "entry_id": "1"}

    def find(asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        key = next((key for key in reversed(world.objects) if key.startswith(asked["key"])), None)
        if key is None:
            return 200, {"ok": False}
        url = f"{world.url}/blob/{key}?sig=1".replace("#", "%23")
        return 200, {"ok": True, "signed_download_url": url, "matched_key": key}

    def blob(request: BaseHTTPRequestHandler, key: str, query: dict[str, list[str]], body: bytes) -> Answer:
        if query.get("sig") != ["1"]:
            return 403, b"", {}
        if request.command == "GET":
            return 200, world.objects[key], {}
        kind = query.get("comp", [""])[0]
        if kind == "block":
            world.blocks[f"{key} {query['blockid'][0]}"] = body
        elif kind == "blocklist":
            names = [part.partition("<")[0] for part in body.decode().split("<Latest>")[1:]]
            world.blocks[key] = b"".join(world.blocks.pop(f"{key} {name}") for name in names)
        else:
            assert request.headers["x-ms-blob-type"] == "BlockBlob"
            world.blocks[key] = body
        return 201, b"", {"x-ms-request-id": "1", "ETag": '"1"'}

    with serving(world, answer):
        yield world

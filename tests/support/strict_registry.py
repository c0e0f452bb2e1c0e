"""A registry that takes the OCI distribution specification (1.1) at its word: what a client may not do, it refuses.

Everything is kept in memory. Each broken rule is answered with 400 and written down; `strict_registry` raises at its
end if there were any. Written from the specification's text; the numbers of its endpoints are in the comments.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema

_SCHEMAS = json.loads((Path(__file__).parents[1] / "data" / "oci_schemas.json").read_bytes())
_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_BYTES = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_OCTETS = "application/octet-stream"


def check(kind: str, document: Any) -> None:
    """Holds a document against its schema. Raises jsonschema.ValidationError."""
    jsonschema.validate(document, {"$defs": _SCHEMAS["$defs"], "$ref": f"#/$defs/{kind}"})


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Broken(Refused):
    """A rule that a client broke."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "UNSUPPORTED", message)


def rule(holds: object, said: str) -> None:
    if not holds:
        raise Broken(said)


@dataclass
class Upload:
    """A session; each answer gives it another `state`, and only the last one is good."""

    data: bytearray = field(default_factory=bytearray)
    state: int = 0


@dataclass
class Repository:
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)


@dataclass
class StrictRegistry:
    """What a registry may choose, and what it has."""

    port: int = 0
    locations: str = "absolute"
    """How it says where to upload to: an `absolute` URL, an absolute `path`, or a path `relative` to the request."""
    referrers: bool = True
    mounts: bool = True
    ranges: bool = True
    algorithm: str = "sha256"
    """What `Docker-Content-Digest` is told in; a registry may choose another than was asked with."""
    cut_after: list[int] = field(default_factory=list)
    """After how many bytes of its body each PATCH is cut; those that are left over are not."""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def unlisted(self) -> list[str]:
        """Manifests with a subject that no referrers tag lists, although there is no other way to find them."""
        if self.referrers:
            return []
        return [
            digest
            for repository in self.repositories.values()
            for digest, (_, data) in repository.manifests.items()
            if (subject := json.loads(data).get("subject"))
            and digest not in _listed(repository, subject["digest"].replace(":", "-"))
        ]


def _listed(repository: Repository, tag: str) -> list[str]:
    if tag not in repository.tags:
        return []
    index = json.loads(repository.manifests[repository.tags[tag]][1])
    for item in index["manifests"]:
        manifest = json.loads(repository.manifests[item["digest"]][1])
        said = manifest.get("artifactType") or manifest["config"]["mediaType"]
        assert item["artifactType"] == said, "a referrer's type is that of its manifest, or of its config"
        assert item.get("annotations", {}) == manifest.get("annotations", {}), "a referrer has its annotations"
    return [item["digest"] for item in index["manifests"]]


@contextmanager
def strict_registry(**choices: Any) -> Iterator[StrictRegistry]:
    """A running one. At its end, no rule may have been broken, and no manifest with a subject may be lost."""
    registry = StrictRegistry(**choices)
    lock = threading.Lock()

    class Handler(_Handler):
        pass

    Handler.registry, Handler.lock = registry, lock
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
    assert not registry.broken, registry.broken
    assert not registry.unlisted(), registry.unlisted()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: StrictRegistry
    lock: threading.Lock

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _handle(self) -> None:
        self.registry.asked.append(f"{self.command} {self.path}")
        try:
            body = self._body()
            if body is None:
                return
            with self.lock:
                status, headers, answer = self._route(body)
        except Refused as refused:
            if isinstance(refused, Broken):
                self.registry.broken.append(f"{self.command} {self.path}: {refused.message}")
            # A message is optional, and `detail` may be anything.
            said = {"message": refused.message} if isinstance(refused, Broken) else {"detail": [refused.message]}
            error = {"code": refused.code, **said}
            status, headers = refused.status, {"Content-Type": "application/json", **refused.headers}
            answer = json.dumps({"errors": [error]}).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _body(self) -> bytes | None:
        """The whole body; None where the line was cut, with what had come taken in."""
        if self.headers.get("transfer-encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        size = int(self.headers.get("content-length") or 0)
        if self.command == "PATCH" and self.registry.cut_after:
            keep = min(self.registry.cut_after.pop(0), size)
            found = self._match(rf"/v2/({_NAME})/blobs/uploads/([^/]+)")
            assert found
            _, upload = self._session(*found)
            upload.data += self.rfile.read(keep)
            self.close_connection = True
            self.connection.shutdown(2)
            return None
        return self.rfile.read(size)

    def _match(self, pattern: str) -> tuple[str, ...] | None:
        found = re.fullmatch(pattern, urlsplit(self.path).path)
        return found.groups() if found else None

    @property
    def _query(self) -> dict[str, str]:
        pairs = parse_qsl(urlsplit(self.path).query, keep_blank_values=True, strict_parsing=True)
        rule(len(dict(pairs)) == len(pairs), "a parameter is given twice")
        return dict(pairs)

    def _may_ask(self, *names: str) -> dict[str, str]:
        query = self._query if urlsplit(self.path).query else {}
        rule(query.keys() <= set(names), f"unknown parameters {sorted(query)}")
        return query

    def _repository(self, name: str, *, make: bool = False) -> Repository:
        if make:
            return self.registry.repositories.setdefault(name, Repository())
        if name not in self.registry.repositories:
            raise Refused(404, "NAME_UNKNOWN", name)
        return self.registry.repositories[name]

    def _route(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        routes = {
            ("GET", "HEAD", rf"/v2/({_NAME})/manifests/([^/]+)"): self._get_manifest,  # end-3
            ("PUT", rf"/v2/({_NAME})/manifests/([^/]+)"): self._put_manifest,  # end-7
            ("GET", "HEAD", rf"/v2/({_NAME})/blobs/(sha256:[^/]+)"): self._get_blob,  # end-2
            ("POST", rf"/v2/({_NAME})/blobs/uploads/"): self._begin,  # end-4, end-11
            ("PATCH", rf"/v2/({_NAME})/blobs/uploads/([^/]+)"): self._patch,  # end-5
            ("PUT", rf"/v2/({_NAME})/blobs/uploads/([^/]+)"): self._finish,  # end-6
            ("GET", rf"/v2/({_NAME})/blobs/uploads/([^/]+)"): self._status,  # end-13
            ("DELETE", rf"/v2/({_NAME})/blobs/uploads/([^/]+)"): self._cancel,  # end-14
            ("GET", rf"/v2/({_NAME})/tags/list"): self._tags,  # end-8
            ("GET", rf"/v2/({_NAME})/referrers/(sha256:[^/]+)"): self._referrers,  # end-12
        }
        if self.command == "GET" and self.path == "/v2/":  # end-1
            return 200, {}, b""
        for (*methods, pattern), work in routes.items():
            found = self._match(pattern)
            if found and self.command in methods:
                return work(body, *found)
        raise Broken("there is no such endpoint")

    def _told(self, data: bytes) -> str:
        return f"{self.registry.algorithm}:{hashlib.new(self.registry.algorithm, data).hexdigest()}"

    def _get_manifest(self, body: bytes, name: str, selector: str) -> tuple[int, dict[str, str], bytes]:
        self._may_ask("ns")
        rule(_DIGEST.fullmatch(selector) or _TAG.fullmatch(selector), f"{selector} is neither tag nor digest")
        repository = self._repository(name)
        digest = repository.tags.get(selector, selector)
        if digest not in repository.manifests:
            raise Refused(404, "MANIFEST_UNKNOWN", selector)
        kind, data = repository.manifests[digest]
        accepted = [item.partition(";")[0].strip() for item in self.headers.get("accept", "").split(",")]
        rule(kind in accepted, f"{kind} is not accepted")
        return 200, {"Content-Type": kind, "Docker-Content-Digest": self._told(data)}, data

    def _put_manifest(self, body: bytes, name: str, selector: str) -> tuple[int, dict[str, str], bytes]:
        self._may_ask()
        kind = self.headers.get("content-type", "")
        rule("content-length" in self.headers, "a manifest has a length")
        rule(len(body) <= 4 << 20, "a manifest has up to 4 MiB")
        document = json.loads(body)
        rule(document.get("mediaType") == kind, f"sent as {kind}, but is {document.get('mediaType')}")
        self._hold("index" if "manifests" in document else "manifest", document)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        rule(_TAG.fullmatch(selector) or selector == digest, f"{selector} is neither a tag nor the manifest's digest")
        repository = self._repository(name, make=True)
        for item in document.get("manifests", []):
            rule(item["digest"] in repository.manifests, f"the manifest {item['digest']} is not here yet")
        for item in [document["config"], *document["layers"]] if "layers" in document else []:
            there = repository.blobs.get(item["digest"])
            rule(there is not None or item.get("urls"), f"the blob {item['digest']} is not here yet")
            rule(there is None or len(there) == item["size"], f"the blob {item['digest']} has another size")
        if document.get("config", {}).get("mediaType") in _CONFIGS:
            self._hold("config", json.loads(repository.blobs[document["config"]["digest"]]))
        repository.manifests[digest] = kind, body
        if selector != digest:
            repository.tags[selector] = digest
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if self.registry.referrers and "subject" in document:
            headers["OCI-Subject"] = document["subject"]["digest"]
        return 201, headers, b""

    def _hold(self, kind: str, document: Any) -> None:
        try:
            check(kind, document)
        except jsonschema.ValidationError as error:
            raise Broken(f"the {kind} does not hold: {error.message}") from None

    def _get_blob(self, body: bytes, name: str, digest: str) -> tuple[int, dict[str, str], bytes]:
        self._may_ask("ns")
        rule(_DIGEST.fullmatch(digest), f"{digest} is no digest")
        repository = self._repository(name)
        if digest not in repository.blobs:
            raise Refused(404, "BLOB_UNKNOWN", digest)
        data = repository.blobs[digest]
        headers = {"Content-Type": _OCTETS, "Docker-Content-Digest": digest}
        asked = self.headers.get("range")
        if not asked or not self.registry.ranges:
            return 200, headers, data
        found = _BYTES.fullmatch(asked)
        rule(found, f"{asked} is no range")
        assert found
        first, last = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
        if first >= len(data):
            raise Refused(416, "SIZE_INVALID", asked, Content_Range=f"bytes */{len(data)}")
        return 206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first : last + 1]

    def _location(self, name: str, session: str, upload: Upload) -> str:
        upload.state += 1
        last = f"{session}?state={upload.state}&x=%2F"
        if self.registry.locations == "relative":
            begun = urlsplit(self.path).path.endswith("/uploads/")
            return last if begun else f"../uploads/{last}"
        path = f"/v2/{name}/blobs/uploads/{last}"
        return f"http://{self.registry.host}{path}" if self.registry.locations == "absolute" else path

    def _begin(self, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        query = self._may_ask("mount", "from")
        rule(self.headers.get("content-length") == "0" and not body, "an upload begins with a length of 0")
        repository = self._repository(name, make=True)
        if "mount" in query:
            rule(_DIGEST.fullmatch(query["mount"]), f"{query['mount']} is no digest")
            rule(re.fullmatch(_NAME, query.get("from", "")), "where to mount from is no name")
            other = self.registry.repositories.get(query["from"], Repository()).blobs.get(query["mount"])
            if self.registry.mounts and other is not None:
                repository.blobs[query["mount"]] = other
                return 201, {"Location": f"/v2/{name}/blobs/{query['mount']}"}, b""
        session = uuid.uuid4().hex
        upload = repository.uploads[session] = Upload()
        return 202, {"Location": self._location(name, session, upload), "OCI-Chunk-Min-Length": str(1 << 20)}, b""

    def _session(self, name: str, session: str, *extra: str) -> tuple[Repository, Upload]:
        query = self._may_ask("state", "x", *extra)
        repository = self._repository(name)
        if session not in repository.uploads:
            raise Refused(404, "BLOB_UPLOAD_UNKNOWN", session)
        upload = repository.uploads[session]
        rule(query.get("x") == "/" and query.get("state") == str(upload.state), "this is not the last location given")
        return repository, upload

    def _patch(self, body: bytes, name: str, session: str) -> tuple[int, dict[str, str], bytes]:
        _, upload = self._session(name, session)
        rule(self.headers.get("content-type") == _OCTETS, f"a chunk is {_OCTETS}")
        given = self.headers.get("content-range")
        if given is not None or upload.data:
            found = _RANGE.fullmatch(given or "")
            rule(found, f"a chunk that is not the first has its range, not {given}")
            assert found
            if int(found[1]) != len(upload.data):
                raise Refused(416, "BLOB_UPLOAD_INVALID", f"{found[1]} is not {len(upload.data)}")
            rule(int(found[2]) - int(found[1]) + 1 == len(body), f"a chunk of {len(body)} bytes is not {given}")
        upload.data += body
        headers = {"Location": self._location(name, session, upload), "Range": f"0-{max(len(upload.data) - 1, 0)}"}
        return 202, headers, b""

    def _finish(self, body: bytes, name: str, session: str) -> tuple[int, dict[str, str], bytes]:
        repository, upload = self._session(name, session, "digest")
        digest = self._query.get("digest", "")
        rule(_DIGEST.fullmatch(digest), f"{digest} is no digest")
        rule("content-length" in self.headers, "the end of an upload has a length")
        rule(not body or self.headers.get("content-type") == _OCTETS, f"a chunk is {_OCTETS}")
        rule(not body or not upload.data, "what was begun in chunks is ended with one that has a range")
        data = bytes(upload.data) + body
        rule(f"sha256:{hashlib.sha256(data).hexdigest()}" == digest, f"what was sent is not {digest}")
        del repository.uploads[session]
        repository.blobs[digest] = data
        return 201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}, b""

    def _status(self, body: bytes, name: str, session: str) -> tuple[int, dict[str, str], bytes]:
        _, upload = self._session(name, session)
        headers = {"Location": self._location(name, session, upload), "Range": f"0-{max(len(upload.data) - 1, 0)}"}
        return 204, headers, b""

    def _cancel(self, body: bytes, name: str, session: str) -> tuple[int, dict[str, str], bytes]:
        repository, _ = self._session(name, session)
        del repository.uploads[session]
        return 204, {}, b""

    def _tags(self, body: bytes, name: str) -> tuple[int, dict[str, str], bytes]:
        query = self._may_ask("n", "last")
        tags = sorted(tag for tag in self._repository(name).tags if tag > query.get("last", ""))
        return 200, {"Content-Type": "application/json"}, json.dumps({"name": name, "tags": tags}).encode()

    def _referrers(self, body: bytes, name: str, digest: str) -> tuple[int, dict[str, str], bytes]:
        self._may_ask("artifactType")
        if not self.registry.referrers:
            raise Refused(404, "UNSUPPORTED")
        rule(_DIGEST.fullmatch(digest), f"{digest} is no digest")
        found = []
        for other, (kind, data) in self._repository(name).manifests.items():
            document = json.loads(data)
            if document.get("subject", {}).get("digest") == digest:
                said = document.get("artifactType") or document["config"]["mediaType"]
                found.append({"mediaType": kind, "digest": other, "size": len(data), "artifactType": said})
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}
        return 200, {"Content-Type": index["mediaType"]}, json.dumps(index).encode()  # type: ignore[dict-item]

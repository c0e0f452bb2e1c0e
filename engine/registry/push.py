"""Writing to a repository: what it has is not sent; what a sister repository has is mounted; the rest is uploaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from engine import oci
from engine.digests import sha256
from engine.errors import RegistryError
from engine.registry.auth import Scope
from engine.registry.direct_push import OK, FileBody, Sent, patch_directly, whole_file
from engine.registry.line import LEAST
from engine.registry.pull import Repository, has_blob
from engine.registry.retry import PASSING
from engine.registry.transport import Content, Request

if TYPE_CHECKING:
    import httpx2

PIECE = 1 << 20
"""Bytes that are read and sent at once."""
SMALL = 1 << 20
"""Blobs up to this size go in one PUT; it saves a round trip, but cannot be resumed."""

OpenBlob = Callable[[], BinaryIO]
"""Opens a blob's content; once for each attempt. A seekable file is not read again from its start."""


def scope_of(repository: Repository, mount_from: str = "") -> frozenset[Scope]:
    """What writing needs, and reading of the repository that a blob is mounted from."""
    scopes = {f"repository:{repository.path}:pull,push"}
    if mount_from:
        scopes.add(f"repository:{mount_from}:pull")
    return frozenset(scopes)


async def find_or_mount(repository: Repository, blob: oci.Descriptor, mount_from: str) -> bool:
    """Whether a blob is in the repository, or is now that it was mounted from a sister repository.

    Raises:
        RegistryError: if the registry refuses, or is gone for good.
    """
    if await has_blob(repository, blob.digest, scope_of(repository)):
        return True
    if not mount_from or mount_from == repository.path:
        return False
    location = await _mount_or_begin(repository, blob, mount_from)
    if location is not None:
        await _cancel(repository, blob, location)
    return location is None


async def _cancel(repository: Repository, blob: oci.Descriptor, location: str) -> None:
    """Ends an upload that was begun in vain. Registries that cannot do that forget it in time."""
    what, ok = _what(repository, blob), (200, 202, 204, 404, 405)
    request = Request("DELETE", location, what, scope_of(repository), ok=ok, repeatable=False)
    with suppress(RegistryError):
        async with repository.transport.exchange(request):
            pass


async def push_blob(
    repository: Repository, blob: oci.Descriptor, content: OpenBlob, *, mount_from: str = "", sent: Sent | None = None
) -> bool:
    """Makes sure that a blob is in the repository; whether any bytes had to be sent.

    `mount_from` is the path of a repository on the same registry that has the blob.

    Raises:
        RegistryError: if the registry refuses it, or is gone for good.
    """
    if await has_blob(repository, blob.digest, scope_of(repository)):
        return False
    location = await _mount_or_begin(repository, blob, mount_from)
    if location is None:
        return False
    if blob.size <= SMALL:
        await _put_whole(repository, blob, content, location)
    else:
        await _Upload(repository, blob, content, sent or (lambda _: None)).run(location)
    if sent:
        sent(blob.size)
    return True


class GrowingBody(FileBody, Protocol):
    """A blob that is still being made."""

    def pieces(self) -> AsyncIterator[bytes]:
        """All of it, as it comes."""


async def push_stream(repository: Repository, body: GrowingBody, finished: Callable[[], oci.Descriptor]) -> None:
    """Uploads a blob that is still being made, in one request that is tried once: whoever fails sends it the usual way.

    `finished` tells what it was when the last piece has been given.

    Raises:
        RegistryError: if the registry refuses it, or the line is cut.
    """
    what = f"push a blob to {repository.transport.host}/{repository.path}"
    path, scopes = f"/v2/{repository.path}/blobs/uploads/", scope_of(repository)
    request = Request("POST", path, what, scopes, {"content-length": "0"}, ok=(202,))
    async with repository.transport.exchange(request) as response:
        location = _location(repository, response)
    further = await patch_directly(repository, location, scopes, what, body, lambda _: None)
    if further is None:
        headers = {"content-type": "application/octet-stream"}
        request = Request("PATCH", location, what, scopes, headers, body.pieces, ok=OK, repeatable=False)
        async with repository.transport.exchange(request) as response:
            further = _location(repository, response)
    await _finish(repository, finished(), further)


async def _mount_or_begin(repository: Repository, blob: oci.Descriptor, mount_from: str) -> str | None:
    """Where to upload to, None if it was mounted. One who may not read the other repository may still write here."""
    try:
        return await _begin(repository, blob, mount_from)
    except RegistryError as error:
        if not mount_from or error.status not in (401, 403, 404):
            raise
        return await _begin(repository, blob, "")


async def _begin(repository: Repository, blob: oci.Descriptor, mount_from: str) -> str | None:
    """Where to upload to; None if the registry has mounted the blob from the other repository."""
    path = f"/v2/{repository.path}/blobs/uploads/"
    if mount_from and mount_from != repository.path:
        path += f"?mount={quote(blob.digest)}&from={quote(mount_from)}"
    request = Request(
        "POST", path, _what(repository, blob), scope_of(repository, mount_from), {"content-length": "0"}, ok=(201, 202)
    )
    async with repository.transport.exchange(request) as response:
        return None if response.status_code == 201 else _location(repository, response)


async def _put_whole(repository: Repository, blob: oci.Descriptor, content: OpenBlob, location: str) -> None:
    with closing(content()) as file:
        data = file.read()
    await _finish(repository, blob, location, data)


async def _finish(repository: Repository, blob: oci.Descriptor, location: str, data: bytes = b"") -> None:
    headers = {"content-type": "application/octet-stream", "content-length": str(len(data))}
    request = Request(
        "PUT",
        _with_digest(location, blob.digest),
        _what(repository, blob),
        scope_of(repository),
        headers,
        data,
        ok=(201, 202, 204),
    )
    try:
        async with repository.transport.exchange(request):
            return
    except RegistryError as error:
        # An earlier try may have arrived although its answer did not: then the upload is gone, and the blob is there.
        if error.status == 404 and await has_blob(repository, blob.digest, scope_of(repository)):
            return
        raise


class _Upload:
    """One blob in flight: sent with PATCH, from where the registry stopped reading after a cut, ended with PUT."""

    def __init__(self, repository: Repository, blob: oci.Descriptor, content: OpenBlob, sent: Sent) -> None:
        self._repository = repository
        self._blob = blob
        self._content = content
        self._sent = sent

    async def run(self, location: str) -> None:
        import trio

        patience = self._repository.transport.patience
        start = 0
        for attempt in range(patience.attempts):
            try:
                location = (not attempt and await self._patch_directly(location)) or await self._patch(location, start)
                break
            except RegistryError as error:
                if attempt + 1 == patience.attempts or not _resumable(error):
                    raise
            await trio.sleep(patience.pause(attempt))
            location, start = await self._resume(location)
        await _finish(self._repository, self._blob, location)

    async def _patch_directly(self, location: str) -> str | None:
        """The whole over a line of its own; None where that cannot be, and where it is refused: the HTTP client will
        hear the same, and knows how to log in, and to explain."""
        blob, repository = self._blob, self._repository
        if blob.size < LEAST:
            return None
        with closing(self._content()) as file:
            body = whole_file(file, blob.size)
            if body is None:
                return None
            try:
                what = _what(repository, blob)
                return await patch_directly(repository, location, scope_of(repository), what, body, self._sent)
            except RegistryError as error:
                if _resumable(error):
                    raise
                return None

    async def _patch(self, location: str, start: int) -> str:
        headers = {"content-type": "application/octet-stream", "content-length": str(self._blob.size - start)}
        if start:
            headers["content-range"] = f"{start}-{self._blob.size - 1}"
        request = Request(
            "PATCH",
            location,
            _what(self._repository, self._blob),
            scope_of(self._repository),
            headers,
            self._body(start),
            ok=OK,
            repeatable=False,
        )
        async with self._repository.transport.exchange(request) as response:
            return _location(self._repository, response)

    def _body(self, start: int) -> Content:
        async def pieces() -> AsyncIterator[bytes]:
            with closing(self._content()) as file:
                _skip(file, start)
                done = start
                while piece := file.read(PIECE):
                    done += len(piece)
                    yield piece
                    self._sent(done)

        return pieces

    async def _resume(self, location: str) -> tuple[str, int]:
        """Where to go on after a cut; from the start where the registry has forgotten the upload."""
        what = _what(self._repository, self._blob)
        request = Request("GET", location, what, scope_of(self._repository), ok=(204, 404))
        async with self._repository.transport.exchange(request) as response:
            first, _, last = response.headers.get("range", "").rpartition("-")
            if response.status_code == 204 and first.removeprefix("bytes=") == "0" and last.isdigit():
                # An upload that has nothing yet is "0-0" as well; one byte more or less is checked by the digest.
                received = int(last) + 1 if int(last) else 0
                return _location(self._repository, response, location), min(received, self._blob.size)
        location = await _begin(self._repository, self._blob, "") or location
        return location, 0


async def push_manifest(repository: Repository, selector: str, data: bytes, media_type: str) -> None:
    """Writes a manifest or index under a tag or its digest. What it names must be there already.

    Raises:
        RegistryError: if the registry refuses it, or says it has something else now.
    """
    headers = {"content-type": media_type, "content-length": str(len(data))}
    what = f"push the manifest {selector} to {repository.transport.host}/{repository.path}"
    path = f"/v2/{repository.path}/manifests/{selector}"
    request = Request("PUT", path, what, scope_of(repository), headers, data, ok=(200, 201, 202))
    async with repository.transport.exchange(request) as response:
        said = response.headers.get("docker-content-digest")
    if said and said.startswith("sha256:") and said != sha256(data):
        raise RegistryError(f"cannot {what}: the registry stored {said} instead of {sha256(data)}")


def _resumable(error: RegistryError) -> bool:
    """Whether an upload may go on after this: there was no answer, a passing one, or one about its position."""
    return error.status in (0, 404, 416) or error.status in PASSING


def _skip(file: BinaryIO, count: int) -> None:
    if not count:
        return
    if file.seekable():
        file.seek(count)
        return
    while count and (piece := file.read(min(count, PIECE))):
        count -= len(piece)


def _what(repository: Repository, blob: oci.Descriptor) -> str:
    return f"push the blob {blob.digest} to {repository.transport.host}/{repository.path}"


def _location(repository: Repository, response: httpx2.Response, default: str = "") -> str:
    location: str = response.headers.get("location") or default
    if not location:
        raise RegistryError(f"{repository.transport.host} does not say where to upload to")
    return location


def _with_digest(location: str, digest: str) -> str:
    parts = urlsplit(location)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}digest={quote(digest)}"))

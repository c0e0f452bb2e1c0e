"""Reading from a repository: what a tag means, manifests, and blobs that survive a cut line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from engine import oci
from engine.blobs import CorruptBlob
from engine.digests import Digest, hex_of, parse_digest, sha256
from engine.errors import RegistryError
from engine.registry.auth import Scope
from engine.registry.transport import HostTransport, Request
from engine.values import frozen

CORRUPT_HINT = "something between here and the registry changes data; try again, or use another mirror"
READ = 256 << 10
"""Bytes of a blob that are handed on at once."""
ACCEPT = ", ".join((*oci.INDEX_TYPES, *oci.MANIFEST_TYPES))


@frozen
class Repository:
    """A repository as one host knows it: the registry itself, or a mirror of it."""

    transport: HostTransport
    path: str
    query: str = ""
    """`?ns=…`, which tells a mirror of several registries which one is meant (containerd's convention)."""

    @property
    def scope(self) -> frozenset[Scope]:
        """What reading needs."""
        return frozenset((f"repository:{self.path}:pull",))

    def url(self, rest: str) -> str:
        """The path of something in the repository."""
        return f"/v2/{self.path}/{rest}{self.query}"


async def head_manifest(repository: Repository, selector: str, name: str) -> oci.Descriptor | None:
    """What a tag or digest means now, by one HEAD; None if the host does not say enough.

    Raises:
        RegistryError: if there is none, or the host cannot be reached.
    """
    what = f"resolve {name}"
    headers = {"accept": ACCEPT}
    request = Request("HEAD", repository.url(f"manifests/{selector}"), what, repository.scope, headers, ok=(200, 405))
    async with repository.transport.exchange(request) as response:
        digest = response.headers.get("docker-content-digest", "")
        size, kind = response.headers.get("content-length", ""), response.headers.get("content-type", "")
    if not (size.isdigit() and digest.startswith("sha256:") and response.status_code == 200):
        return None
    return oci.Descriptor(kind.partition(";")[0].strip(), _digest(digest, repository), int(size))


async def find_manifest(repository: Repository, selector: str, name: str, scope: frozenset[Scope]) -> Digest | None:
    """The digest of what a tag or digest means, None if it means nothing or the host does not tell by a HEAD.

    Raises:
        RegistryError: if the host cannot be reached, or refuses.
    """
    path = repository.url(f"manifests/{selector}")
    request = Request("HEAD", path, f"look for {name}", scope, {"accept": ACCEPT}, ok=(200, 404, 405))
    async with repository.transport.exchange(request) as response:
        if response.status_code != 200:
            return None
        digest = response.headers.get("docker-content-digest", "")
    if not digest and ":" in selector:
        return _digest(selector, repository)
    return _digest(digest, repository) if digest.startswith("sha256:") else None


async def get_manifest(repository: Repository, selector: str, name: str) -> tuple[oci.Descriptor, bytes]:
    """A manifest or index, verified against its digest where `selector` is one.

    Raises:
        RegistryError: if there is none, or it is too big.
        CorruptBlob: if it is not what its digest says.
        MalformedImage: if it makes no sense.
    """
    what = f"read the manifest of {name}"
    request = Request("GET", repository.url(f"manifests/{selector}"), what, repository.scope, {"accept": ACCEPT})
    data, said, kind = await _read_small(repository, request, oci.MAX_MANIFEST)
    found = sha256(data)
    expected = _digest(selector, repository) if selector.startswith("sha256:") else said
    if expected and expected != _digest_like(expected, data):
        raise CorruptBlob(f"{repository.transport.host} sent a manifest of {name} that is {found}, not {expected}")
    media_type = oci.parse_document(data, kind, max_layers=oci.MAX_CACHE_LAYERS).media_type
    return oci.Descriptor(media_type, found, len(data)), data


async def _read_small(repository: Repository, request: Request, limit: int) -> tuple[bytes, str, str]:
    """A whole body, asked for again when the line is cut; with the digest and the type that came with it."""
    import httpx2
    import trio

    patience = repository.transport.patience
    for attempt in range(patience.attempts):
        try:
            async with repository.transport.exchange(request) as response:
                data = b""
                async for chunk in response.aiter_raw():
                    data += chunk
                    if len(data) > limit:
                        raise RegistryError(f"cannot {request.what}: it is bigger than {limit} bytes")
                headers = response.headers
                return data, headers.get("docker-content-digest", ""), headers.get("content-type", "")
        except httpx2.TransportError as error:
            if attempt + 1 == patience.attempts:
                raise _cut(request.what, repository, error) from error
            await trio.sleep(patience.pause(attempt))
    raise AssertionError("unreachable: the last attempt returns or raises")


async def read_blob(repository: Repository, blob: oci.Descriptor, name: str) -> AsyncGenerator[bytes, None]:
    """A blob in pieces, verified when the last one has come; only then may any of them be used for good.

    Raises:
        RegistryError: if there is none, or the host is gone for good.
        CorruptBlob: at the end, if it was not what its digest says; earlier, if it is too long.
    """
    hashing = hashlib.sha256()
    async with aclosing(stream_blob(repository, blob, name)) as pieces:
        async for piece in pieces:
            hashing.update(piece)
            yield piece
    if hashing.hexdigest() != hex_of(blob.digest):
        raise CorruptBlob(
            f"{repository.transport.host} sent sha256:{hashing.hexdigest()} as the blob {blob.digest} of {name}",
            hint=CORRUPT_HINT,
        )


async def stream_blob(repository: Repository, blob: oci.Descriptor, name: str) -> AsyncGenerator[bytes, None]:
    """A blob in pieces, not verified but for its length: for those who hash it themselves as they work on it.

    When the line is cut, the rest is asked for; nothing that has come is asked for twice.

    Raises:
        RegistryError: if there is none, or the host is gone for good.
        CorruptBlob: if it is longer than it should be.
    """
    import httpx2
    import trio

    patience = repository.transport.patience
    what = f"read the blob {blob.digest} of {name}"
    done, fruitless = 0, 0
    while done < blob.size:
        before = done
        try:
            async with aclosing(_rest(repository, blob, done, what)) as rest:
                async for chunk in rest:
                    done += len(chunk)
                    if done > blob.size:
                        host = repository.transport.host
                        raise CorruptBlob(f"{host} sends more than the {blob.size} bytes of {blob.digest}")
                    yield chunk
            trouble: Exception = RegistryError("the body ended early")
        except httpx2.TransportError as error:
            trouble = error
        if done < blob.size:
            fruitless = fruitless + 1 if done == before else 0
            if fruitless >= patience.attempts:
                raise _cut(what, repository, trouble) from trouble
            await trio.sleep(patience.pause(fruitless))


async def _rest(repository: Repository, blob: oci.Descriptor, start: int, what: str) -> AsyncGenerator[bytes, None]:
    """The bytes from `start` on; a server that does not know ranges sends all, and we skip what we have."""
    headers = {"range": f"bytes={start}-"} if start else {}
    ok = (200, 206) if start else (200,)
    request = Request("GET", repository.url(f"blobs/{blob.digest}"), what, repository.scope, headers, ok=ok)
    async with repository.transport.exchange(request) as response:
        skip = 0
        if response.status_code == 200:
            skip = start
        elif not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            raise RegistryError(f"cannot {what}: {repository.transport.host} sends another part than was asked for")
        async for chunk in response.aiter_raw(READ):
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            yield chunk[skip:] if skip else chunk
            skip = 0


async def read_start(repository: Repository, blob: oci.Descriptor, count: int, name: str) -> bytes:
    """The first bytes of a blob, not verified: to see whether it begins like another.

    Raises:
        RegistryError: if there is none, or the host cannot be reached.
    """
    path, what = repository.url(f"blobs/{blob.digest}"), f"read the blob {blob.digest} of {name}"
    request = Request("GET", path, what, repository.scope, {"range": f"bytes=0-{count - 1}"}, ok=(200, 206))
    data = b""
    async with repository.transport.exchange(request) as response:
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) >= count:
                break
    return data[:count]


async def is_empty(repository: Repository, name: str, scope: frozenset[Scope]) -> bool:
    """Whether the host knows no repository of the name, or one without tags.

    Raises:
        RegistryError: if the host cannot be reached, or does not tell.
    """
    request = Request("GET", repository.url("tags/list"), f"list the tags of {name}", scope, ok=(200, 404))
    data, _, _ = await _read_small(repository, request, oci.MAX_MANIFEST)
    try:
        return not json.loads(data).get("tags")
    except (ValueError, AttributeError):
        return False


async def has_blob(repository: Repository, digest: Digest, scope: frozenset[Scope]) -> bool:
    """Whether the repository has a blob already."""
    request = Request("HEAD", repository.url(f"blobs/{digest}"), f"look for the blob {digest}", scope, ok=(200, 404))
    async with repository.transport.exchange(request) as response:
        return response.status_code == 200


def _digest_like(said: str, data: bytes) -> str:
    """The digest of data by the algorithm of another one: registries may tell what they have in one of their choice.
    One that is not known here proves nothing, and so contradicts nothing."""
    if said.startswith("sha256:"):
        return sha256(data)
    return f"sha512:{hashlib.sha512(data).hexdigest()}" if said.startswith("sha512:") else said


def _digest(text: str, repository: Repository) -> Digest:
    try:
        return parse_digest(text)
    except ValueError as error:
        raise RegistryError(f"{repository.transport.host} gave no proper digest: {error}") from error


def _cut(what: str, repository: Repository, error: Exception) -> RegistryError:
    reason = str(error) or type(error).__name__
    return RegistryError(
        f"cannot {what}: the connection to {repository.transport.host} was cut again and again ({reason})",
        hint="check the network, or set a mirror for the registry",
    )

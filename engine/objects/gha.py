"""The cache of GitHub Actions, version 2 of its service: `type=gha` caches, with BuildKit's names.

Entries are written once; what changes has a number after its name, and the newest is found by the name without it.
Protocol: twirp calls to `github.actions.results.api.v1.CacheService`, and Azure block blobs behind signed URLs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from engine.digests import Digest, sha256
from engine.errors import DefinitionError, SourceError, UnsupportedError
from engine.objects.contract import Body, ObjectExists
from engine.objects.http import PIECE, Caller, read_all
from engine.values import frozen

if TYPE_CHECKING:
    import httpx2

VERSION = hashlib.sha256(b"|go-actionscache-1.0").hexdigest()
"""What BuildKit's client says an entry was made with; others are not found."""
BLOCK = 32 << 20
"""Bytes that are sent at once; what is bigger goes in blocks."""
_SERVICE = "twirp/github.actions.results.api.v1.CacheService"
_READ, _WRITE = 1, 2
_ANSWER = 32 << 10


@frozen
class Access:
    """Where the service is, and what the job's token allows: scopes are branches, the one to write to first."""

    url: str
    token: str
    scopes: tuple[str, ...]


class ActionsObjects:
    """`ObjectStore` on the cache of GitHub Actions."""

    def __init__(self, access: Access, origin: str) -> None:
        self.access = access
        self._origin = origin
        self._caller = Caller("the cache of GitHub Actions")

    @property
    def origin(self) -> str:
        """This place, without its token."""
        return self._origin

    def blob_name(self, digest: Digest) -> str:
        """As BuildKit calls it."""
        return f"buildkit-blob-1-{digest}"

    async def has(self, name: str) -> bool:
        """Whether there is an entry of just that name."""
        found = await self.find(name)
        return found is not None and found[0] == name

    async def find(self, name: str) -> tuple[str, str] | None:
        """The newest entry whose name begins with this, and where it can be read."""
        answer = await self._call("GetCacheEntryDownloadURL", {"key": name, "restore_keys": [name]})
        if not answer.get("ok"):
            return None
        return str(answer.get("matched_key", "")), str(answer.get("signed_download_url", ""))

    async def read(self, name: str, limit: int) -> bytes | None:
        """The newest small entry whose name begins with this."""
        found = await self.find(name)
        if found is None:
            return None
        async with self._caller.answer(lambda client: client.build_request("GET", found[1])) as response:
            return await read_all(response, limit, name)

    async def pieces(self, name: str) -> AsyncGenerator[bytes, None]:
        """An entry's bytes."""
        found = await self.find(name)
        if found is None:
            raise SourceError(f"the cache of GitHub Actions has no {name} any more")
        async with self._caller.answer(lambda client: client.build_request("GET", found[1])) as response:
            async for piece in response.aiter_raw(PIECE):
                yield piece

    async def write(self, name: str, body: Body, size: int, digest: Digest) -> None:
        """Writes an entry. Raises ObjectExists if there is one of that name, or somebody is writing it."""
        answer = await self._call("CreateCacheEntry", {"key": name})
        if not answer.get("ok"):
            raise ObjectExists(f"the cache of GitHub Actions has a {name}, or somebody writes it")
        await self._upload(str(answer.get("signed_upload_url", "")), body, size)
        done = await self._call("FinalizeCacheEntryUpload", {"key": name, "size_bytes": size})
        if not done.get("ok"):
            raise SourceError(f"the cache of GitHub Actions did not take {name}")

    async def _upload(self, url: str, body: Body, size: int) -> None:
        if size <= BLOCK:
            data = b"".join([piece async for piece in body()])
            await self._put(url, data, {"x-ms-blob-type": "BlockBlob"})
            return
        names: list[str] = []
        async for block in _blocks(body()):
            names.append(base64.b64encode(f"{len(names):08d}".encode()).decode())
            await self._put(f"{url}&comp=block&blockid={names[-1].replace('=', '%3D')}", block, {})
        entries = "".join(f"<Latest>{name}</Latest>" for name in names)
        document = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{entries}</BlockList>'
        await self._put(f"{url}&comp=blocklist", document.encode(), {})

    async def _put(self, url: str, data: bytes, headers: Mapping[str, str]) -> None:
        def make(client: httpx2.AsyncClient) -> httpx2.Request:
            return client.build_request("PUT", url, headers={"x-ms-version": "2021-08-06", **headers}, content=data)

        async with self._caller.answer(make):
            pass

    async def _call(self, method: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        data = json.dumps({**fields, "version": VERSION}).encode()
        headers = {"authorization": f"Bearer {self.access.token}", "content-type": "application/json"}

        def make(client: httpx2.AsyncClient) -> httpx2.Request:
            return client.build_request("POST", f"{self.access.url}/{_SERVICE}/{method}", headers=headers, content=data)

        async with self._caller.answer(make, (409,)) as response:
            if response.status_code == 409:
                return {"ok": False}
            text = await read_all(response, _ANSWER, f"the answer to {method}")
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise SourceError(f"the cache of GitHub Actions does not answer {method} in JSON") from error
        if not isinstance(answer, dict):
            raise SourceError(f"the cache of GitHub Actions answers {method} with {type(answer).__name__}")
        return answer


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= BLOCK:
            yield bytes(held[:BLOCK])
            del held[:BLOCK]
    if held:
        yield bytes(held)


def index_name(scope: str, branch: str) -> str:
    """What BuildKit calls the config of a cache of this scope, written by jobs of a branch."""
    return f"index-{scope}-1-{sha256(branch.encode())[7:15]}"


def access_of(attributes: Mapping[str, str], environ: Mapping[str, str]) -> Access:
    """The service that attributes, or else the job's environment, name. Raises DefinitionError, UnsupportedError."""
    token = attributes.get("token") or environ.get("ACTIONS_RUNTIME_TOKEN", "")
    url = attributes.get("url_v2") or environ.get("ACTIONS_RESULTS_URL", "")
    if not token:
        raise DefinitionError(
            "a cache of type gha needs the token of a job",
            hint="run it in GitHub Actions with ACTIONS_RUNTIME_TOKEN passed on, or add token=…",
        )
    if attributes.get("version", "2") != "2" or not url:
        raise UnsupportedError(
            "only version 2 of the cache service of GitHub Actions is supported",
            hint="pass ACTIONS_RESULTS_URL on, or add url_v2=…",
        )
    return Access(url.rstrip("/"), token, _scopes(token))


def _scopes(token: str) -> tuple[str, ...]:
    """The branches in a token's claims, those that may be written to first."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        scopes = [(int(item["Permission"]), str(item["Scope"])) for item in json.loads(claims["ac"])]
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise DefinitionError("the token for the cache of GitHub Actions is not one of a job") from error
    readable = [(allowed, scope) for allowed, scope in scopes if allowed & (_READ | _WRITE)]
    return tuple(scope for _, scope in sorted(readable, key=lambda item: not item[0] & _WRITE))

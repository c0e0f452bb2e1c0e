"""Objects in S3, and in what speaks like it (MinIO, R2, GCS): `type=s3` caches, with BuildKit's names.

One PUT takes 5 GiB at most, which is more than a layer should have; parts are not used.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.digests import Digest, hex_of
from engine.errors import DefinitionError, SourceError
from engine.objects.contract import Body, ObjectChanged
from engine.objects.http import PIECE, Caller, read_all
from engine.objects.signature import EMPTY, Keys, quoted_path, signed
from engine.values import frozen

if TYPE_CHECKING:
    import httpx2

MAX_PUT = 5 << 30
REFRESH = 24 * 3600.0
"""Seconds after which an object that is still used is touched, so that rules for old objects leave it alone."""


_OTHERS = (404, 409, 412)
"""Answers to a conditional PUT that did not find what it was to replace, or met another one. Source: "Conditional
requests" of the S3 user guide."""
_UNKNOWN = (400, 501)
"""Answers of services that take no conditions."""


@frozen
class Bucket:
    """Where in S3. `endpoint` is empty for Amazon's own."""

    name: str
    region: str
    endpoint: str = ""
    path_style: bool = False
    prefix: str = ""
    blobs: str = "blobs/"
    manifests: str = "manifests/"

    @property
    def url(self) -> str:
        """The URL that names are put after."""
        if not self.endpoint:
            return f"https://{self.name}.s3.{self.region}.amazonaws.com"
        parts = urlsplit(self.endpoint)
        base = self.endpoint.rstrip("/")
        return f"{base}/{self.name}" if self.path_style else f"{parts.scheme}://{self.name}.{parts.netloc}"


class S3Objects:
    """`ObjectStore` on a bucket."""

    def __init__(self, bucket: Bucket, keys: Keys, origin: str, refresh: float = REFRESH) -> None:
        self.bucket = bucket
        self._keys = keys
        self._origin = origin
        self._refresh = refresh
        self._caller = Caller(f"the bucket {bucket.name}")

    @property
    def origin(self) -> str:
        """This place, without its keys."""
        return self._origin

    def blob_name(self, digest: Digest) -> str:
        """As BuildKit calls it."""
        return f"{self.bucket.prefix}{self.bucket.blobs}{digest}"

    def manifest_name(self, name: str) -> str:
        """As BuildKit calls the config of a cache."""
        return f"{self.bucket.prefix}{self.bucket.manifests}{name}"

    async def has(self, name: str) -> bool:
        """Whether it is there; one that has been there for long is touched."""
        async with self._answer("HEAD", name, allowed=(404,)) as response:
            if response.status_code == 404:
                return False
            modified = response.headers.get("last-modified", "")
        if modified and time() - parsedate_to_datetime(modified).timestamp() > self._refresh:
            await self._touch(name)
        return True

    async def _touch(self, name: str) -> None:
        source = quoted_path(f"/{self.bucket.name}/{name}")
        headers = {"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE"}
        async with self._answer("PUT", name, headers={**headers, "x-amz-meta-updated-at": str(int(time()))}):
            pass

    async def read(self, name: str, limit: int) -> bytes | None:
        """A small object."""
        return (await self.read_version(name, limit))[0]

    async def read_version(self, name: str, limit: int) -> tuple[bytes | None, str | None]:
        """A small object and its version for `write_over`: empty if it is not there, None if the service tells none."""
        async with self._answer("GET", name, allowed=(404,)) as response:
            if response.status_code == 404:
                return None, ""
            return await read_all(response, limit, name), response.headers.get("etag")

    async def pieces(self, name: str) -> AsyncGenerator[bytes, None]:
        """An object's bytes."""
        async with self._answer("GET", name) as response:
            async for piece in response.aiter_raw(PIECE):
                yield piece

    async def write(self, name: str, body: Body, size: int, digest: Digest) -> None:
        """Puts an object, in place of what is there."""
        if size > MAX_PUT:
            raise SourceError(f"{name} has {size} bytes, more than the {MAX_PUT} that one PUT takes")
        async with self._answer("PUT", name, body=body, size=size, payload=hex_of(digest)):
            pass

    async def write_over(self, name: str, body: Body, size: int, digest: Digest, version: str) -> None:
        """Puts an object in place of the version that was read.

        Services that know no conditional writes put it in place of whatever is there.

        Raises:
            ObjectChanged: if that is another one by now.
        """
        wanted = {"if-match": version} if version else {"if-none-match": "*"}
        refused = (*_OTHERS, *_UNKNOWN)
        async with self._answer(
            "PUT", name, allowed=refused, headers=wanted, body=body, size=size, payload=hex_of(digest)
        ) as response:
            status = response.status_code
        if status in _OTHERS:
            raise ObjectChanged(f"somebody else has written {name}")
        if status in _UNKNOWN:
            await self.write(name, body, size, digest)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        name: str,
        *,
        allowed: tuple[int, ...] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        size: int = 0,
        payload: str = EMPTY,
    ) -> AsyncIterator[httpx2.Response]:
        base = urlsplit(self.bucket.url)
        path = quoted_path(f"{base.path}/{name}")

        def make(client: httpx2.AsyncClient) -> httpx2.Request:
            sent = signed(method, base.netloc, path, self._keys, self.bucket.region, payload, headers)
            url = f"{base.scheme}://{base.netloc}{path}"
            if body is None:
                return client.build_request(method, url, headers=sent)
            return client.build_request(method, url, headers={**sent, "content-length": str(size)}, content=body())

        async with self._caller.answer(make, allowed) as response:
            yield response


def bucket_of(attributes: Mapping[str, str], environ: Mapping[str, str]) -> Bucket:
    """The bucket that attributes, or else the environment, name. Raises DefinitionError."""
    name = attributes.get("bucket") or environ.get("AWS_BUCKET", "")
    region = attributes.get("region") or environ.get("AWS_REGION", "") or environ.get("AWS_DEFAULT_REGION", "")
    for key, value in (("bucket", name), ("region", region)):
        if not value:
            raise DefinitionError(f"a cache of type s3 needs {key}", hint=f"add {key}=…, or set AWS_{key.upper()}")
    endpoint = attributes.get("endpoint_url") or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if endpoint and urlsplit(endpoint).scheme not in ("http", "https"):
        raise DefinitionError(f"the endpoint_url of an s3 cache must be a URL, not {endpoint!r}")
    return Bucket(
        name,
        region,
        endpoint or "",
        attributes.get("use_path_style", "").lower() in ("1", "true"),
        attributes.get("prefix", ""),
        attributes.get("blobs_prefix", "blobs/"),
        attributes.get("manifests_prefix", "manifests/"),
    )


def keys_of(attributes: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Keys:
    """Who we are: by attributes, the environment, or the user's AWS credentials file. Raises DefinitionError."""
    if attributes.get("access_key_id") and attributes.get("secret_access_key"):
        session = attributes.get("session_token", "")
        return Keys(attributes["access_key_id"], attributes["secret_access_key"], session)
    if environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
        session = environ.get("AWS_SESSION_TOKEN", "")
        return Keys(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], session)
    path = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")
    profile = environ.get("AWS_PROFILE", "default")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path)
        section = parser[profile]
        return Keys(
            section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token", "")
        )
    except (configparser.Error, KeyError, OSError, UnicodeDecodeError) as error:
        raise DefinitionError(
            "there are no credentials for the s3 cache",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into ~/.aws/credentials",
        ) from error

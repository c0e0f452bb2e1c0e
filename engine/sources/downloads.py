"""Files of web servers, kept in the blob store and asked for again only by their ETag or time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.digests import Digest, parse_digest
from engine.errors import SourceError
from engine.registry.retry import Patience, persist
from engine.sources.pins import PinKind, Pins, moved
from engine.values import frozen

if TYPE_CHECKING:
    import httpx2
    import trio

    from engine.blobs import BlobStore
    from engine.state import State

MAX_REDIRECTS = 10


@frozen
class Download:
    """What a URL gave: the digest of its content, and what the server said of it (empty where it said nothing)."""

    digest: Digest
    last_modified: str
    filename: str
    """From Content-Disposition."""


class Downloader:
    """Fetches URLs, each once in the life of this object."""

    def __init__(
        self, state: State, blobs: BlobStore, patience: Patience | None = None, pins: Pins | None = None
    ) -> None:
        self._pins = pins or Pins()
        self._state = state
        self._blobs = blobs
        self._patience = patience or Patience()
        self._done: dict[str, Download] = {}
        self._asking: dict[str, trio.Lock] = {}

    async def fetch(self, url: str, headers: Mapping[str, str], checksum: Digest | None) -> Download:
        """What the URL gives now. With a checksum, what is here already is not asked for again.

        Raises:
            SourceError: if it cannot be had, or is not what the checksum says.
        """
        import trio

        # What is asked for with other headers may be something else. Their values are secrets, and never written down.
        key = " ".join((url, *sorted(headers)))
        pinned = checksum is None
        if pinned and (pin := self._pins.find(PinKind.URL, redacted(url))):
            checksum = parse_digest(pin)
        async with self._asking.setdefault(key, trio.Lock()):
            found = self._done.get(key)
            if found is None or (checksum and found.digest != checksum):
                found = await self._fetch(url, key, headers, checksum)
                if checksum and found.digest != checksum:
                    raise _changed(redacted(url), found.digest, checksum, locked=pinned)
                self._done[key] = found
        if pinned:
            self._pins.note(PinKind.URL, redacted(url), found.digest)
        return found

    async def _fetch(self, url: str, key: str, headers: Mapping[str, str], checksum: Digest | None) -> Download:
        rows = self._state.query("SELECT etag, last_modified, digest, filename FROM downloads WHERE url = ?", key)
        known: Download | None = None
        conditions: dict[str, str] = {}
        if rows and self._blobs.has(Digest(rows[0][2])):
            etag, modified, digest, filename = rows[0]
            known = Download(Digest(digest), modified, filename)
            if known.digest == checksum:
                return known
            conditions = {k: v for k, v in {"if-none-match": etag, "if-modified-since": modified}.items() if v}
        return await self._get(url, {**headers, **conditions}, known, key)

    async def _get(self, url: str, headers: Mapping[str, str], known: Download | None, key: str) -> Download:
        import httpx2
        import trio

        timeout = httpx2.Timeout(self._patience.silence, connect=self._patience.connect)
        base = {"user-agent": "bakery", "accept-encoding": "identity"}
        async with httpx2.AsyncClient(timeout=timeout, follow_redirects=True, max_redirects=MAX_REDIRECTS) as client:
            request = client.build_request("GET", url, headers={**base, **headers})
            for attempt in range(self._patience.attempts):
                try:
                    response = await persist(lambda: client.send(request, stream=True), self._patience)
                    try:
                        if response.status_code == 304 and known:
                            return known
                        return await self._save(response, url, key)
                    finally:
                        await response.aclose()
                except httpx2.ConnectError as error:
                    raise _failed(url, error) from error
                except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                    if attempt + 1 == self._patience.attempts or not isinstance(error, httpx2.TransportError):
                        raise _failed(url, error) from error
                    await trio.sleep(self._patience.pause(attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _save(self, response: httpx2.Response, url: str, key: str) -> Download:
        import trio

        if response.status_code != 200:
            raise SourceError(
                f"cannot download {redacted(url)}: the server answered {response.status_code} {response.reason_phrase}",
                hint="check the URL" if response.status_code == 404 else "",
            )
        with self._blobs.writer() as writer:
            async for piece in response.aiter_raw(1 << 18):
                await trio.to_thread.run_sync(writer.write, piece)
            digest = writer.commit()
        headers = response.headers
        got = Download(digest, headers.get("last-modified", ""), _filename(headers.get("content-disposition", "")))
        self._state.write(
            "INSERT OR REPLACE INTO downloads (url, etag, last_modified, digest, filename) VALUES (?, ?, ?, ?, ?)",
            key,
            headers.get("etag", ""),
            got.last_modified,
            got.digest,
            got.filename,
        )
        return got


def _filename(disposition: str) -> str:
    """The file name that a server proposes, its last component only."""
    if not disposition:
        return ""
    from email.message import Message

    message = Message()
    message["content-disposition"] = disposition
    name = message.get_filename() or ""
    return "" if name.endswith("/") else name.rpartition("/")[2]


def redacted(url: str) -> str:
    """A URL as it may be shown: without a password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=f"{parts.username}:xxxxx@{parts.netloc.rpartition('@')[2]}").geturl()


def _changed(name: str, found: Digest, wanted: Digest, *, locked: bool) -> SourceError:
    if locked:
        return moved(name, wanted, found)
    return SourceError(
        f"{name} is {found}, but the checksum {wanted} is wanted",
        hint="the file has changed: look at it, then write down its new checksum",
    )


def _failed(url: str, error: Exception) -> SourceError:
    reason = str(error) or type(error).__name__
    return SourceError(
        f"cannot download {redacted(url)}: {reason}", hint="check the URL, the network and the proxy settings"
    )

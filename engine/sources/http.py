"""`http://` and `https://` vertices: one file of a web server as a file system.

Keys and defaults follow BuildKit (buildkit.md §3): mode 0600, and the time of `Last-Modified`, else the epoch.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import trio

from engine import oci
from engine.digests import Digest, hex_of, parse_digest, sha256
from engine.errors import SPACE_HINT, SourceError, StateError
from engine.llb.definition import Vertex
from engine.results import LayerID, Snapshot
from engine.snapshots.store import Progress, SnapshotStore
from engine.sources.contract import Resolved
from engine.sources.downloads import Download, Downloader, redacted
from engine.sources.image import source_key
from engine.sources.secrets import GivenSecrets

if TYPE_CHECKING:
    from engine.blobs import BlobStore
    from engine.sources.fetch import LayerFetcher

UNNAMED = "download"
MODE = 0o600


class HttpSource:
    """One URL. The file is fetched when it is resolved, for its digest must be known; its layer is made when read."""

    def __init__(
        self,
        vertex: Vertex,
        downloader: Downloader,
        fetcher: LayerFetcher,
        snapshots: SnapshotStore,
        blobs: BlobStore,
        secrets: GivenSecrets,
    ) -> None:
        source = vertex.op.source
        assert source is not None
        self._url = source.identifier
        self._attrs = source.attrs
        self._downloader = downloader
        self._fetcher = fetcher
        self._snapshots = snapshots
        self._blobs = blobs
        self._secrets = secrets
        self._description = f"http url {redacted(self._url)}"

    async def resolve(self) -> Resolved:
        """Asks the server whether what is here is still right, and fetches the file if not."""
        got = await self._downloader.fetch(self._url, await self._headers(), self._checksum())
        key = self._key(got)
        layer = LayerID(f"http-{hex_of(key)[:48]}")

        async def make(_: Progress) -> None:
            await trio.to_thread.run_sync(self._make_layer, layer, got)

        self._fetcher.promise(layer, make, self._description)
        return Resolved((source_key(key),), got.digest, Snapshot((layer,)))

    async def time(self) -> int | None:
        """What the server says of it as Last-Modified."""
        modified = _time(await self._downloader.fetch(self._url, await self._headers(), self._checksum()))
        return int(modified.timestamp()) if modified else None

    def _checksum(self) -> Digest | None:
        text = self._attrs.get("http.checksum")
        try:
            return parse_digest(text) if text else None
        except ValueError as error:
            raise SourceError(f"the checksum of {redacted(self._url)} is {error}") from error

    async def _headers(self) -> dict[str, str]:
        """The headers that the vertex asks for, and who we are there, if a secret says so."""
        prefix = "http.header."
        headers = {k.removeprefix(prefix): v for k, v in self._attrs.items() if k.startswith(prefix)}
        if name := self._attrs.get("http.authheadersecret"):
            value = await self._secrets.find(name)
            if value is None:
                raise SourceError(
                    f"the secret {name} is needed for {redacted(self._url)}", hint=f"give --secret id={name},…"
                )
            return {**headers, "authorization": value}
        host = urlsplit(self._url).hostname or ""
        if value := await self._secrets.find(f"HTTP_AUTH_HEADER_{host}"):
            return {**headers, "authorization": value}
        if value := await self._secrets.find(f"HTTP_AUTH_TOKEN_{host}"):
            return {**headers, "authorization": f"Bearer {value}"}
        return headers

    def _key(self, got: Download) -> Digest:
        fields: dict[str, object] = {
            "Filename": self._filename(got),
            "Perm": self._number("perm"),
            "UID": self._number("uid"),
            "GID": self._number("gid"),
            "Checksum": got.digest,
        }
        if modified := _time(got):
            fields["LastModTime"] = format_datetime(modified, usegmt=True)
        if secret := self._attrs.get("http.authheadersecret"):
            fields["AuthHeaderSecret"] = secret
        prefix = "http.header."
        if sent := [
            {"Name": k[len(prefix) :], "Value": v} for k, v in sorted(self._attrs.items()) if k.startswith(prefix)
        ]:
            fields["Header"] = sent
        return sha256(oci.go_json(fields))

    def _filename(self, got: Download) -> str:
        """The name that was asked for, else the server's, else the URL's; a single component, whoever chose it."""
        path = unquote(urlsplit(self._url).path)
        for name in (self._attrs.get("http.filename", ""), got.filename, posixpath.basename(path)):
            if name.strip("./") and "/" not in name and "\0" not in name:
                return name
        return UNNAMED

    def _number(self, name: str) -> int:
        text = self._attrs.get(f"http.{name}") or "0"
        try:
            # As Go reads it: octal after a plain 0, too.
            return int(text, 8) if text.isdigit() and text.startswith("0") else int(text, 0)
        except ValueError:
            raise SourceError(f"http.{name} of {redacted(self._url)} is no number: {text}") from None

    def _make_layer(self, layer: LayerID, got: Download) -> None:
        with self._snapshots.new_layer(Snapshot()) as new:
            try:
                self._write(new.path / self._filename(got), got)
            except OSError as error:
                raise StateError(f"cannot keep {redacted(self._url)}: {error.strerror}", hint=SPACE_HINT) from error
            new.commit(self._description, layer=layer)

    def _write(self, path: Path, got: Download) -> None:
        with self._blobs.open(got.digest) as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        uid, gid = self._number("uid"), self._number("gid")
        if uid or gid:
            os.chown(path, uid, gid)
        path.chmod(self._number("perm") or MODE)
        modified = _time(got)
        seconds = int(modified.timestamp()) if modified else 0
        os.utime(path, (seconds, seconds))


def _time(got: Download) -> datetime | None:
    try:
        return parsedate_to_datetime(got.last_modified) if got.last_modified else None
    except ValueError:
        return None

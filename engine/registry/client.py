"""The registries, as the engine sees them: names in, verified bytes out; mirrors, logins and retries are in here."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine import oci
from engine.blobs import CorruptBlob
from engine.digests import Digest, sha256
from engine.errors import RegistryError
from engine.registry.credentials import CredentialStore
from engine.registry.reference import Reference, api_host, parse
from engine.registry.retry import Patience
from engine.registry.settings import RegistrySettings, load_settings

if TYPE_CHECKING:
    from engine.blobs import BlobStore
    from engine.registry.connections import Connections
    from engine.registry.direct import DirectBlob
    from engine.registry.direct_push import Sent
    from engine.registry.pull import Repository
    from engine.registry.push import GrowingBody, OpenBlob
    from engine.registry.transport import HostTransport

ReadBlob = Callable[["Repository", oci.Descriptor, str], AsyncGenerator[bytes, None]]
CORRUPT_TRIES = 3
"""How often a host may send something else than was asked for before we believe that it always will."""


class Registries:
    """A client for all registries. To be closed inside the same trio run that used it.

    References are taken parsed or as text. Whatever has a digest is verified against it before it is returned.
    """

    def __init__(
        self,
        settings: RegistrySettings | None = None,
        credentials: CredentialStore | None = None,
        patience: Patience | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._credentials = credentials or CredentialStore(environ)
        self._patience = patience or Patience()
        self._connections: Connections | None = None
        self._transports: dict[tuple[str, str], HostTransport] = {}
        self._referrers: dict[str, bool] = {}
        """Of hosts, whether they keep lists of referrers."""

    async def head(self, reference: Reference | str) -> oci.Descriptor | None:
        """What a reference means now, by one HEAD; None if the registry does not tell this way (ask `manifest`).

        Raises:
            RegistryError: if there is no such image, or the registry cannot be reached.
        """
        from engine.registry.pull import head_manifest

        reference = _parsed(reference)
        error: RegistryError | None = None
        for repository in self._places(reference):
            try:
                return await head_manifest(repository, reference.selector, str(reference))
            except RegistryError as failed:
                error = _with_earlier(failed, error)
        raise error or AssertionError("a reference has at least one place")

    async def manifest(self, reference: Reference | str) -> tuple[oci.Descriptor, bytes]:
        """The manifest or index that a reference means now, with its descriptor.

        Raises:
            RegistryError: if there is no such image, or the registry cannot be reached.
            CorruptBlob: if all that comes is not what its digest says.
            MalformedImage: if it makes no sense.
        """
        from engine.registry.pull import get_manifest

        reference = _parsed(reference)
        error: RegistryError | CorruptBlob | None = None
        for repository in self._places(reference):
            for _ in range(CORRUPT_TRIES):
                try:
                    return await get_manifest(repository, reference.selector, str(reference))
                except CorruptBlob as corrupt:
                    error = corrupt
                except RegistryError as failed:
                    error = _with_earlier(failed, error)
                    break
        raise error or AssertionError("a reference has at least one place")

    resolve = manifest

    def blob(self, reference: Reference | str, blob: oci.Descriptor, place: int = 0) -> AsyncGenerator[bytes, None]:
        """A blob in pieces, from the first place (a mirror, or the registry) that has it, or from place number `place`.

        Cuts are mended unseen. The pieces may be used for good only when the last one has come.

        Raises:
            RegistryError: if no place has it.
            CorruptBlob: at the end, if it was not what its digest says: throw all away, and go on with `attempts`.
        """
        from engine.registry.pull import read_blob

        return self._from_places(read_blob, reference, blob, place)

    def blob_unverified(
        self, reference: Reference | str, blob: oci.Descriptor, place: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """The same without a check of the digest, for those who hash the pieces themselves, such as a `BlobWriter`."""
        from engine.registry.pull import stream_blob

        return self._from_places(stream_blob, reference, blob, place)

    async def direct(self, reference: Reference | str, blob: oci.Descriptor, place: int) -> DirectBlob | None:
        """A blob for a thread to read from a socket of its own, unverified; None where that cannot be, or is not worth
        it: then `blob_unverified` will do.

        Raises:
            RegistryError: if place number `place` does not have it.
        """
        from engine.registry.direct import DirectBlob, find_address
        from engine.registry.line import LEAST

        if blob.size < LEAST:
            return None
        reference = _parsed(reference)
        repository = self._places(reference)[place]
        address = await find_address(repository, blob, str(reference))
        return DirectBlob(repository, blob, str(reference), address) if address else None

    async def _from_places(
        self, read: ReadBlob, reference: Reference | str, blob: oci.Descriptor, place: int
    ) -> AsyncGenerator[bytes, None]:
        reference = _parsed(reference)
        error: RegistryError | None = None
        for repository in self._places(reference)[place:]:
            started = False
            try:
                async with aclosing(read(repository, blob, str(reference))) as pieces:
                    async for piece in pieces:
                        started = True
                        yield piece
                return
            except RegistryError as failed:
                if started:
                    raise
                error = _with_earlier(failed, error)
        raise error or AssertionError("a reference has at least one place")

    def attempts(self, reference: Reference | str) -> list[int]:
        """The places to ask for a blob, one after the other, when what came before was corrupt."""
        count = len(self._places(_parsed(reference)))
        return [place for place in range(count) for _ in range(CORRUPT_TRIES)]

    async def small_blob(self, reference: Reference | str, blob: oci.Descriptor, limit: int) -> bytes:
        """A blob of at most `limit` bytes, such as a config, verified.

        Raises:
            RegistryError: if it cannot be had, or is bigger.
            CorruptBlob: if all that comes is not what its digest says.
        """
        if blob.size > limit:
            raise RegistryError(
                f"the blob {blob.digest} of {reference} has {blob.size} bytes, more than {limit} allowed"
            )
        if blob.data is not None:
            return blob.data
        error: CorruptBlob | None = None
        for place in self.attempts(reference):
            try:
                return b"".join([chunk async for chunk in self.blob(reference, blob, place)])
            except CorruptBlob as corrupt:
                error = corrupt
        raise error or AssertionError("a reference has at least one place")

    async def fetch_blob_to(self, store: BlobStore, reference: Reference | str, blob: oci.Descriptor) -> None:
        """Makes sure that a blob is in the store.

        Raises:
            RegistryError: if it cannot be had.
            CorruptBlob: if all that comes is not what its digest says.
        """
        import trio

        if await trio.to_thread.run_sync(store.has, blob.digest):
            return
        error: CorruptBlob | None = None
        for place in self.attempts(reference):
            with store.writer() as writer:
                try:
                    async with aclosing(self.blob_unverified(reference, blob, place)) as pieces:
                        async for piece in pieces:
                            await trio.to_thread.run_sync(writer.write, piece)
                    writer.commit(blob.digest, blob.size)
                    return
                except CorruptBlob as corrupt:
                    error = corrupt
        raise error or AssertionError("a reference has at least one place")

    async def pushed(self, reference: Reference | str) -> Digest | None:
        """What a reference means at its registry itself (never a mirror) now, None if nothing.

        Raises:
            RegistryError: if the registry cannot be reached, or does not let us ask.
        """
        from engine.registry.pull import find_manifest
        from engine.registry.push import scope_of

        reference = _parsed(reference)
        repository = self._origin(reference)
        return await find_manifest(repository, reference.selector, str(reference), scope_of(repository))

    async def has_blob(self, reference: Reference | str, digest: Digest) -> bool:
        """Whether the repository that a reference names (never a mirror) has a blob."""
        from engine.registry.pull import has_blob

        repository = self._origin(_parsed(reference))
        return await has_blob(repository, digest, repository.scope)

    async def find_or_mount(self, reference: Reference | str, blob: oci.Descriptor, other: Reference | None) -> bool:
        """Whether a repository has a blob, perhaps now that it was mounted from another image of the same registry.

        Raises:
            RegistryError: if the registry cannot be reached, or refuses.
        """
        from engine.registry.push import find_or_mount

        reference = _parsed(reference)
        sister = other.path if other and other.domain == reference.domain else ""
        return await find_or_mount(self._origin(reference), blob, sister)

    async def push_blob(
        self,
        reference: Reference | str,
        blob: oci.Descriptor,
        content: OpenBlob,
        *,
        mount_from: Reference | str | None = None,
        sent: Sent | None = None,
    ) -> bool:
        """Makes sure that the repository has a blob; whether any of its bytes had to be sent.

        `content` opens it, once for each attempt, and is not called if the registry has it. `mount_from` is an image
        that has it: where that is on the same registry, nothing is sent either.

        Raises:
            RegistryError: if the registry refuses it, or is gone for good.
        """
        from engine.registry.push import push_blob

        reference = _parsed(reference)
        other = _parsed(mount_from) if mount_from else None
        sister = other.path if other and other.domain == reference.domain else ""
        return await push_blob(self._origin(reference), blob, content, mount_from=sister, sent=sent)

    async def push_stream(
        self, reference: Reference | str, body: GrowingBody, finished: Callable[[], oci.Descriptor]
    ) -> None:
        """Uploads a blob that is still being made; see `engine.registry.push.push_stream`, whose errors it raises."""
        from engine.registry.push import push_stream

        await push_stream(self._origin(_parsed(reference)), body, finished)

    async def is_empty(self, reference: Reference | str) -> bool:
        """Whether nothing was ever pushed to the repository that a reference names. Raises RegistryError."""
        from engine.registry.pull import is_empty
        from engine.registry.push import scope_of

        reference = _parsed(reference)
        repository = self._origin(reference)
        return await is_empty(repository, str(reference), scope_of(repository))

    async def read_start(self, reference: Reference | str, blob: oci.Descriptor, count: int) -> bytes:
        """The first bytes of a blob as the repository itself has it, not verified. Raises RegistryError."""
        from engine.registry.pull import read_start

        reference = _parsed(reference)
        return await read_start(self._origin(reference), blob, count, str(reference))

    async def push_manifest(self, reference: Reference | str, data: bytes, media_type: str) -> oci.Descriptor:
        """Writes a manifest or index: under the reference's digest if it has one (which must be right), else its tag.

        One that is about another is listed under a tag where the registry does not keep such lists itself.

        Raises:
            RegistryError: if the registry refuses it.
        """
        from engine.registry.push import push_manifest
        from engine.registry.referrers import add_referrer, subject_of

        reference = _parsed(reference)
        digest = sha256(data)
        if reference.digest and reference.digest != digest:
            raise RegistryError(f"cannot push {reference}: the manifest is {digest}")
        repository = self._origin(reference)
        await push_manifest(repository, reference.selector, data, media_type)
        pushed = oci.Descriptor(media_type, digest, len(data))
        subject = subject_of(data, media_type)
        if subject and not await self._lists_referrers(repository, subject.digest):
            await add_referrer(repository, data, pushed)
        return pushed

    async def _lists_referrers(self, repository: Repository, subject: Digest) -> bool:
        """Whether a registry keeps lists of referrers; asked once, for all that is pushed there."""
        from engine.registry.push import scope_of
        from engine.registry.referrers import lists_referrers

        host = repository.transport.host
        if host not in self._referrers:
            self._referrers[host] = await lists_referrers(repository, subject, scope_of(repository))
        return self._referrers[host]

    def _places(self, reference: Reference) -> list[Repository]:
        """Where an image may be had: mirrors, then the registry."""
        from engine.registry.pull import Repository

        places = []
        for mirror in self._all_settings().of(reference.domain).mirrors:
            path = f"{mirror.prefix}/{reference.path}" if mirror.prefix else reference.path
            places.append(Repository(self._transport(mirror.host, mirror.host), path, f"?ns={reference.domain}"))
        return [*places, self._origin(reference)]

    def _origin(self, reference: Reference) -> Repository:
        from engine.registry.pull import Repository

        return Repository(self._transport(reference.domain, api_host(reference.domain)), reference.path)

    def _all_settings(self) -> RegistrySettings:
        if self._settings is None:
            self._settings = load_settings(self._environ)
        return self._settings

    def _transport(self, domain: str, host: str) -> HostTransport:
        from engine.registry.connections import Connections
        from engine.registry.transport import HostTransport

        if self._connections is None:
            self._connections = Connections(self._all_settings(), self._patience)
        if (domain, host) not in self._transports:
            self._transports[domain, host] = HostTransport(
                domain, host, self._credentials, self._connections, self._patience
            )
        return self._transports[domain, host]

    async def aclose(self) -> None:
        """Closes all connections. The client may be used again after."""
        self._transports.clear()
        connections, self._connections = self._connections, None
        if connections:
            await connections.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        import trio

        with trio.CancelScope(shield=True):
            await self.aclose()


def _parsed(reference: Reference | str) -> Reference:
    return parse(reference) if isinstance(reference, str) else reference


def _with_earlier(error: RegistryError, earlier: Exception | None) -> RegistryError:
    """An error that also says what went wrong at the places asked before."""
    if earlier is None:
        return error
    return RegistryError(f"{error.message}; before that, {earlier}", status=error.status, hint=error.hint)

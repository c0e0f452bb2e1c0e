"""Requests to one host: finds out whether it speaks TLS, logs in, asks again, follows redirects, explains failures."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from engine.errors import RegistryError
from engine.registry.auth import Authorizer, Scope
from engine.registry.bodies import read_at_most
from engine.registry.connections import USER_AGENT, Connections
from engine.registry.credentials import CredentialStore
from engine.registry.failure import failure
from engine.registry.line import Address, is_proxied
from engine.registry.reference import is_local
from engine.registry.retry import Patience, is_final, persist, wants_certificate
from engine.values import frozen

if TYPE_CHECKING:
    import httpx2

MAX_REDIRECTS = 10
MAX_DRAINED = 64 << 10
_REDIRECTS = frozenset((301, 302, 303, 307, 308))

Content = Callable[[], AsyncIterator[bytes]]
"""Makes a request's body, anew for each attempt. It goes in chunks unless its length is among the request's headers."""


@frozen
class Request:
    """One request. `what` completes the sentence "cannot …"; `ok` are the answers that are no failure."""

    method: str
    path: str
    """From `/v2/` on, or a whole URL that the host itself gave."""
    what: str
    scopes: frozenset[Scope] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    content: Content | bytes = b""
    ok: tuple[int, ...] = (200,)
    repeatable: bool = True
    """Whether it may be sent again after a cut: not where the first one may already have changed something."""


class HostTransport:
    """All talk with one host."""

    def __init__(
        self, domain: str, host: str, credentials: CredentialStore, connections: Connections, patience: Patience
    ) -> None:
        self.host = host
        self._connections = connections
        self.patience = patience
        self._auth = Authorizer(domain, host, credentials, connections, patience)

    def address_of(self, url: str, headers: Mapping[str, str]) -> Address | None:
        """Where a line of our own goes for a URL of this host, or one that it redirects to; None behind a proxy."""
        if is_proxied(os.environ):
            return None
        parts = urlsplit(url)
        tls = self._connections.tls(parts.netloc) if parts.scheme == "https" else None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = parts.port or (443 if tls else 80)
        return Address(parts.hostname or "", port, target, {"host": parts.netloc, **headers}, tls)

    def address(self, path: str, scopes: frozenset[Scope]) -> Address | None:
        """The same for a path that this host has told, with who we are; None where that leads to another host."""
        scheme, *others = self._connections.schemes(self.host)
        url = self._url(path, scheme)
        if others or not url.startswith(f"{scheme}://{self.host}/"):
            return None
        authorization = self._auth.header(scopes)
        return self.address_of(
            url, {"user-agent": USER_AGENT} | ({"authorization": authorization} if authorization else {})
        )

    @asynccontextmanager
    async def exchange(self, request: Request) -> AsyncIterator[httpx2.Response]:
        """Sends a request and gives the answer, its body still to be read. A `Location` in it is a whole URL.

        Raises:
            RegistryError: if there is no answer, or it is none of `request.ok`.
        """
        response = await self._answer(request)
        try:
            if response.status_code not in request.ok:
                raise await failure(response, request.what, self.host)
            if "location" in response.headers:
                # It may be relative to what was asked for (RFC 9110 §10.2.2), which nobody knows later.
                response.headers["location"] = urljoin(str(response.request.url), response.headers["location"])
            yield response
            if not response.is_stream_consumed and _is_short(response):
                await _drain(response)
        finally:
            await response.aclose()

    async def _answer(self, request: Request) -> httpx2.Response:
        import httpx2

        tried: list[str] = []
        for scheme, last in _marked(self._connections.schemes(self.host)):
            tried.append(f"{scheme}://{self.host}")
            # Whoever does not speak TLS says so at once.
            patience = replace(self.patience, connects=1) if scheme == "https" and not last else self.patience
            if not request.repeatable:
                patience = replace(patience, attempts=1)
            try:
                response = await persist(partial(self._attempt, request, scheme), patience)
            except httpx2.TransportError as error:
                if not last and isinstance(error, httpx2.ConnectError) and scheme == "https":
                    continue
                raise _unreachable(request.what, self.host, tried, error) from error
            except httpx2.InvalidURL as error:
                raise RegistryError(f"cannot {request.what}: {self.host} is no proper host: {error}") from error
            if not last and await _wants_tls(response, scheme):
                await response.aclose()
                continue
            self._connections.remember(self.host, scheme)
            return response
        raise AssertionError("unreachable: the last scheme returns or raises")

    async def _attempt(self, request: Request, scheme: str) -> httpx2.Response:
        sent = self._auth.header(request.scopes)
        response = await self._send(request, scheme, sent)
        if response.status_code == 401:
            header = await self._auth.answer(response, request.scopes, sent)
            if header:
                await _drain(response)
                response = await self._send(request, scheme, header)
        return response

    async def _send(self, request: Request, scheme: str, authorization: str | None) -> httpx2.Response:
        """One request with its redirects. Another host than the registry's own is never told who we are."""
        url = self._url(request.path, scheme)
        method = request.method
        for _ in range(MAX_REDIRECTS):
            target = urlsplit(url)
            headers = dict(request.headers)
            if authorization and _host_of(target) == self.host and target.scheme == scheme:
                headers["authorization"] = authorization
            client = self._connections.client(target.netloc, target.scheme)
            content = request.content if isinstance(request.content, bytes) else request.content()
            built = client.build_request(method, url, headers=headers, content=content or None)
            response = await client.send(built, stream=True)
            if response.status_code not in _REDIRECTS or not response.headers.get("location"):
                return response
            await _drain(response)
            url = urljoin(url, response.headers["location"])
            _check_redirect(self.host, target.scheme, url)
        raise RegistryError(f"cannot {request.what}: {self.host} redirects in circles")

    def _url(self, path: str, scheme: str) -> str:
        """A whole URL. A registry behind a proxy may name itself with the wrong scheme; ours is the one that works."""
        parts = urlsplit(path)
        if _host_of(parts) == self.host:
            return urlunsplit(parts._replace(scheme=scheme, netloc=self.host))
        return urljoin(f"{scheme}://{self.host}", path)


def _host_of(url: SplitResult) -> str:
    """The host and port of a URL, without a port that goes without saying."""
    usual = {"https": ":443", "http": ":80"}.get(url.scheme)
    return url.netloc.removesuffix(usual) if usual else url.netloc


def _check_redirect(host: str, scheme: str, url: str) -> None:
    target = urlsplit(url)
    if target.scheme not in ("http", "https") or not target.netloc:
        raise RegistryError(f"{host} redirects to something that is no web address")
    if scheme == "https" and target.scheme == "http" and not is_local(target.netloc):
        raise RegistryError(f"{host} redirects from https to unencrypted http at {target.netloc}")


async def _wants_tls(response: httpx2.Response, scheme: str) -> bool:
    """Whether a server that was spoken to in plain http wants https. Go's says so in the body of a 400 in HTTP/1.0,
    a version that it uses for nothing else; the answer to a HEAD has no body."""
    if scheme != "http" or response.status_code != 400:
        return False
    if response.http_version == "HTTP/1.0":
        return True
    short = 0 < int(response.headers.get("content-length") or 0) <= MAX_DRAINED
    return short and b"HTTP request to an HTTPS server" in await response.aread()


def _marked(schemes: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Each scheme, and whether it is the last."""
    for number, scheme in enumerate(schemes, start=1):
        yield scheme, number == len(schemes)


def _is_short(response: httpx2.Response) -> bool:
    """Whether an answer that nobody read has no body, or a short one: a connection is worth more than that."""
    length = response.headers.get("content-length", "")
    return response.request.method == "HEAD" or (length.isdecimal() and int(length) <= MAX_DRAINED)


async def _drain(response: httpx2.Response) -> None:
    """Reads what little there is, so that the connection can be used again."""
    import httpx2

    if response.request.method == "HEAD" or int(response.headers.get("content-length") or 0) <= MAX_DRAINED:
        with suppress(httpx2.HTTPError):
            await read_at_most(response, MAX_DRAINED)
    await response.aclose()


def _unreachable(what: str, host: str, tried: list[str], error: Exception) -> RegistryError:
    if is_final(error):
        reason = "its certificate is not trusted"
        hint = f'set ca = … (or insecure = true) for [registry."{host}"] in bakery\'s config file'
    elif wants_certificate(error):
        reason = "it does not take our certificate, or wants one"
        hint = f'set cert = … and key = … for [registry."{host}"] in bakery\'s config file'
    else:
        reason = str(error) or type(error).__name__
        hint = f"check the name {host}, the network and the proxy settings (HTTPS_PROXY); or set a mirror for it"
    return RegistryError(f"cannot {what}: {host} cannot be reached (tried {', '.join(tried)}): {reason}", hint=hint)

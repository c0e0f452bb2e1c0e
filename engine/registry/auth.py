"""Answers a registry's challenge: basic, or a bearer token for a scope, kept as long as it holds.

Protocol: github.com/distribution/distribution, `docs/content/spec/auth/{token,oauth}.md`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from engine.errors import RegistryError
from engine.registry.bodies import read_at_most
from engine.registry.challenge import Challenge, parse_challenges
from engine.registry.credentials import Credentials, CredentialStore
from engine.registry.failure import failure
from engine.registry.reference import is_local
from engine.registry.retry import Patience, persist
from engine.values import frozen

if TYPE_CHECKING:
    import httpx2

    from engine.registry.connections import Connections

CLIENT_ID = "bakery"
MAX_TOKEN = 1 << 20
DEFAULT_LIFE = 60.0
"""Seconds a token holds when nobody says otherwise."""

Scope = str
"""`repository:NAME:pull[,push]`."""


@frozen
class _Token:
    header: str
    ends: float


class Authorizer:
    """The credentials and tokens for one host."""

    def __init__(
        self, domain: str, host: str, credentials: CredentialStore, connections: Connections, patience: Patience
    ) -> None:
        import trio

        self._domain = domain
        self._host = host
        self._credentials = credentials
        self._connections = connections
        self._patience = patience
        self._tokens: dict[frozenset[Scope], _Token] = {}
        self._basic: dict[str, str] = {}
        self._asking = trio.Lock()

    def header(self, scopes: frozenset[Scope]) -> str | None:
        """The `Authorization` for these scopes that is known to be good, if there is one."""
        import trio

        token = self._tokens.get(scopes)
        if token and token.ends > trio.current_time():
            return token.header
        return self._basic.get(_path(scopes))

    async def answer(self, response: httpx2.Response, scopes: frozenset[Scope], sent: str | None) -> str | None:
        """A new `Authorization` after a 401; None if there is nothing more to offer.

        Many requests meet the same 401 at once: the first to come asks for the token, the others use it.
        """
        challenges = parse_challenges(response.headers.get_list("www-authenticate"))
        async with self._asking:
            known = self.header(scopes)
            if known and known != sent:
                return known
            header = await self._answer(challenges, scopes)
            return None if header == sent else header

    async def _answer(self, challenges: Sequence[Challenge], scopes: frozenset[Scope]) -> str | None:
        import trio

        credentials = await self._credentials.find(self._domain, _path(scopes))
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                if credentials and credentials.registry_token:
                    return f"Bearer {credentials.registry_token}"
                start = trio.current_time()
                token, life = await self._fetch_token(challenge, scopes, credentials)
                # A tenth earlier, for the request that uses it has a way to go.
                self._tokens[scopes] = _Token(f"Bearer {token}", start + 0.9 * life)
                return f"Bearer {token}"
            if challenge.scheme == "basic" and credentials and credentials.username:
                header = _basic(credentials)
                self._basic[_path(scopes)] = header
                return header
        return None

    async def _fetch_token(
        self, challenge: Challenge, scopes: frozenset[Scope], credentials: Credentials | None
    ) -> tuple[str, float]:
        realm = challenge.parameters["realm"]
        url = urlsplit(realm)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise RegistryError(f"{self._host} names no proper place to get a token: {realm}")
        if (
            credentials
            and url.scheme == "http"
            and not (is_local(url.netloc) or self._connections.is_plain(self._host))
        ):
            raise RegistryError(
                f"{self._host} wants a password to be sent unencrypted to {url.netloc}",
                hint=f"if you trust that network, set http = true for {self._host} in bakery's config file",
            )
        client = self._connections.client(url.netloc, url.scheme)
        fields = [
            ("service", challenge.parameters.get("service", "")),
            *(("scope", s) for s in _merged(challenge, scopes)),
        ]
        if credentials and credentials.identity_token:
            body = [("grant_type", "refresh_token"), ("refresh_token", credentials.identity_token)]
            body += [("client_id", CLIENT_ID), ("service", fields[0][1])]
            body.append(("scope", " ".join(value for _, value in fields[1:])))
            request = client.build_request("POST", realm, data=dict(body))
        else:
            headers = {"authorization": _basic(credentials)} if credentials and credentials.username else {}
            query = urlencode([(k, v) for k, v in fields if v])
            request = client.build_request("GET", realm + ("&" if url.query else "?") + query, headers=headers)
        response = await persist(lambda: client.send(request, stream=True), self._patience)
        try:
            if response.status_code != 200:
                raise await failure(response, f"log in to {self._domain}", url.netloc)
            answer = await read_at_most(response, MAX_TOKEN)
        finally:
            await response.aclose()
        return _read_token(answer or b"", url.netloc)


def _merged(challenge: Challenge, scopes: frozenset[Scope]) -> list[Scope]:
    """What we need; what the registry names besides, only where we know of nothing ourselves."""
    return sorted(scopes) or challenge.parameters.get("scope", "").split()


def _read_token(body: bytes, host: str) -> tuple[str, float]:
    try:
        answer: dict[str, Any] = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
        life = float(answer.get("expires_in") or DEFAULT_LIFE)
    except (ValueError, TypeError, AttributeError):
        token, life = None, 0.0
    if not isinstance(token, str) or not token or not token.isprintable():
        raise RegistryError(f"{host} answered a request for a token with something else")
    return token, max(life, DEFAULT_LIFE)


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _path(scopes: frozenset[Scope]) -> str:
    """The repository of the first scope, in a fixed order: where credentials are looked up."""
    for scope in sorted(scopes, key=lambda s: ("push" not in s, s)):
        return scope.split(":")[1]
    return ""

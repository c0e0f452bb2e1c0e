"""HTTP clients by host and scheme, with the user's certificates, and proxies from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import SourceError
from engine.registry.settings import HostSettings, RegistrySettings

if TYPE_CHECKING:
    import ssl

    import httpx2

    from engine.registry.retry import Patience

USER_AGENT = "bakery"
MAX_CONNECTIONS = 16
"""To one host at once."""


class Connections:
    """Opens clients when they are first wanted, and closes them all at the end."""

    def __init__(self, settings: RegistrySettings, patience: Patience) -> None:
        self._settings = settings
        self._patience = patience
        self._clients: dict[tuple[str, str], httpx2.AsyncClient] = {}
        self._schemes: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    def tls(self, host: str) -> ssl.SSLContext:
        """The certificates that are trusted and shown at a host. Raises SourceError if they cannot be used."""
        if host not in self._contexts:
            self._contexts[host] = _context(host, self._settings.of(host))
        return self._contexts[host]

    def client(self, host: str, scheme: str) -> httpx2.AsyncClient:
        """The client for a host. HTTP/1.1 only: blobs gain nothing from HTTP/2's streams."""
        import httpx2

        if (host, scheme) not in self._clients:
            patience = self._patience
            self._clients[host, scheme] = httpx2.AsyncClient(
                verify=self.tls(host) if scheme == "https" else False,
                http2=False,
                follow_redirects=False,
                # Registries must not compress what has a digest, and a compressed answer could hide its size.
                headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
                timeout=httpx2.Timeout(patience.silence, connect=patience.connect, pool=None),
                limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
            )
        return self._clients[host, scheme]

    def schemes(self, host: str) -> tuple[str, ...]:
        """What to try for a host: what worked before, else what its settings say."""
        known = self._schemes.get(host)
        return (known,) if known else self._settings.of(host).schemes(host)

    def remember(self, host: str, scheme: str) -> None:
        """Notes what a host speaks."""
        self._schemes[host] = scheme

    def is_plain(self, host: str) -> bool:
        """Whether a host is spoken to without encryption anyway."""
        return self._schemes.get(host) == "http"

    async def aclose(self) -> None:
        """Closes all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()


def _context(host: str, settings: HostSettings) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context()
        if settings.ca:
            context.load_verify_locations(settings.ca)
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(f) for f in (settings.ca, settings.cert, settings.key) if f)
        raise SourceError(f"cannot use the certificates set for {host} ({files}): {error}") from error
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

"""When to ask again: refused connections, cuts, 429 and 5xx, with growing pauses, and never for ever."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING

from engine.values import frozen

if TYPE_CHECKING:
    import httpx2

PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Answers that another time may be others."""


@frozen
class Patience:
    """How long to go on. Seconds, but for the numbers of attempts."""

    attempts: int = 6
    """Requests made at most for one answer."""
    connects: int = 3
    """Of these, how many may fail to connect at all: whoever is not there will not be there in a second."""
    first: float = 0.25
    """The first pause; each further one is twice as long, give or take half."""
    longest: float = 10.0
    asked: float = 60.0
    """The longest `Retry-After` that is obeyed; asked for more, we give up at once."""
    connect: float = 15.0
    silence: float = 30.0
    """How long an open connection may say nothing."""

    def pause(self, attempt: int) -> float:
        """The pause after attempt number `attempt`, counted from 0."""
        return min(self.first * 2.0**attempt, self.longest) * random.uniform(0.5, 1.5)

    def obey(self, attempt: int, retry_after: str) -> float | None:
        """The pause after an answer with this `Retry-After` header; None if it is longer than we wait."""
        wanted = _seconds(retry_after)
        if wanted is None:
            return self.pause(attempt)
        return wanted if wanted <= self.asked else None


async def persist(attempt: Callable[[], Awaitable[httpx2.Response]], patience: Patience) -> httpx2.Response:
    """Makes a request until there is an answer worth having; the last one, whatever it is, when patience ends.

    Raises:
        httpx2.TransportError: if at last there was no answer at all.
    """
    import httpx2
    import trio

    refused = 0
    for number in range(patience.attempts):
        last = number == patience.attempts - 1
        pause: float | None
        try:
            response = await attempt()
        except httpx2.UnsupportedProtocol:
            raise
        except httpx2.TransportError as error:
            refused += isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
            if last or refused >= patience.connects or is_final(error):
                raise
            pause = patience.pause(number)
        else:
            if last or not _passes(response):
                return response
            pause = patience.obey(number, response.headers.get("retry-after", ""))
            if pause is None:
                return response
            await response.aclose()
        await trio.sleep(pause)
    raise AssertionError("unreachable: the last attempt returns or raises")


def is_final(error: BaseException) -> bool:
    """Whether trying again cannot help: a certificate stays what it is."""
    import ssl

    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def wants_certificate(error: BaseException) -> bool:
    """Whether the other side ended TLS because of our certificate, or because we showed none."""
    import ssl

    said = [str(cause).upper() for cause in _causes(error) if isinstance(cause, ssl.SSLError)]
    return any("ALERT" in text and ("CERTIFICATE" in text or "UNKNOWN CA" in text) for text in said)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _passes(response: httpx2.Response) -> bool:
    """Whether the answer may be another one next time. A 401 must come with a challenge (RFC 9110 §15.5.2); one
    without was made up by something between us and the registry."""
    if response.status_code == 401:
        return "www-authenticate" not in response.headers
    return response.status_code in PASSING


def _seconds(retry_after: str) -> float | None:
    """A `Retry-After` in seconds from now (RFC 9110 §10.2.3), None if there is none that makes sense."""
    if retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None

"""A registry's refusals in words: what was asked, what it answered, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.errors import RegistryError

if TYPE_CHECKING:
    import httpx2

MAX_EVIDENCE = 64 << 10
"""Bytes of an error's body that are read."""
MAX_SHOWN = 300


async def failure(response: httpx2.Response, what: str, host: str) -> RegistryError:
    """The error for an answer that is not a success. `what` reads like `read the manifest of X`."""
    said = _words(await _evidence(response))
    status = response.status_code
    message = f"cannot {what}: {host} answered {status} {response.reason_phrase}".rstrip()
    return RegistryError(message + (f" ({said})" if said else ""), status=status, hint=_hint(status, host))


def _hint(status: int, host: str) -> str:
    if status in (401, 403):
        return f"log in with `docker login {host}`, or check that this user may do that"
    if status == 404:
        return "check the name and the tag; a private repository may need a login"
    if status == 413:
        return f"{host} or a proxy before it limits the size of uploads"
    if status == 429:
        return f"{host} limits how often it may be asked: log in, use a mirror, or try again later"
    if status >= 500:
        return f"{host} has a problem: try again later"
    return ""


async def _evidence(response: httpx2.Response) -> bytes:
    import httpx2

    data = b""
    try:
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > MAX_EVIDENCE:
                break
    except httpx2.HTTPError:
        pass  # the status alone must do
    return data[:MAX_EVIDENCE]


def _words(body: bytes) -> str:
    """The specification's `errors` list as text, else the first line."""
    try:
        errors = json.loads(body)["errors"]
        said = "; ".join(": ".join(str(e[k]) for k in ("code", "message") if e.get(k)) for e in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        said = body.decode(errors="replace").strip().partition("\n")[0]
    said = "".join(c if c.isprintable() else " " for c in said)
    return said if len(said) <= MAX_SHOWN else said[:MAX_SHOWN] + "…"

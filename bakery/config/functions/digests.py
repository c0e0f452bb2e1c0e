"""Digests of short texts by Python's own implementations.

`hashlib` loads OpenSSL before it gives out anything, which takes as long as evaluating a dozen targets; here it is only
asked where a Python was built without its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final

_HOMES: Final = {
    "md5": ("_md5",),
    "sha1": ("_sha1",),
    "sha256": ("_sha2", "_sha256"),  # since Python 3.12, and before
    "sha512": ("_sha2", "_sha512"),
}


def digest(algorithm: str, data: bytes) -> bytes:
    """The digest by an algorithm: `md5`, `sha1`, `sha256` or `sha512`."""
    found: bytes = _algorithm(algorithm)(data).digest()
    return found


@cache
def _algorithm(name: str) -> Callable[[bytes], Any]:
    for home in (*_HOMES[name], "hashlib"):
        try:
            found: Callable[[bytes], Any] = getattr(import_module(home), name)
        except (ImportError, AttributeError):
            continue
        return found
    raise LookupError(name)

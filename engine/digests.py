"""Content digests: `sha256:` and 64 hexadecimal digits, the only algorithm that bakery writes."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

Digest = NewType("Digest", str)
"""`sha256:<64 lowercase hex digits>`. Made by `sha256`, or checked by `parse_digest`."""

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def sha256(data: bytes) -> Digest:
    """The digest of some bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def parse_digest(text: str) -> Digest:
    """A digest written by somebody else.

    Raises:
        ValueError: if it is not a well-formed sha256 digest. (A path is made of it: nothing else may pass.)
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"not a sha256 digest: {text!r}")
    return Digest(text)


def hex_of(digest: Digest) -> str:
    """The hexadecimal part, as file names use it."""
    return digest.partition(":")[2]

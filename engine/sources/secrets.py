"""The values of secrets that a source names."""

from __future__ import annotations

import os
from collections.abc import Mapping

from engine.errors import SourceError
from engine.request import Secret

MAX_SECRET = 500 << 10
"""Bytes, as BuildKit limits them."""


def find_secret(secrets: Mapping[str, Secret], name: str) -> str | None:
    """The value of a secret, without the line break at its end; None if it was not given.

    Raises:
        SourceError: if it was given, but cannot be read.
    """
    secret = secrets.get(name)
    if secret is None:
        return None
    if secret.env is not None:
        return os.environ.get(secret.env)
    if secret.path is None:
        return os.environ.get(name)
    try:
        with secret.path.open("rb") as file:
            data = file.read(MAX_SECRET + 1)
        if len(data) > MAX_SECRET:
            raise SourceError(f"the secret {name} is bigger than {MAX_SECRET} bytes")
        return data.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the secret {name} from {secret.path}: {error}") from error

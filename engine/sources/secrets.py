"""The values of secrets that a source names."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import SourceError, StepError
from engine.request import Secret
from engine.secret_values import SecretReader


class GivenSecrets:
    """The secrets that a build was given, by name."""

    def __init__(self, secrets: Mapping[str, Secret] | None = None, reader: SecretReader | None = None) -> None:
        """`secrets` may grow while sources are open."""
        self._secrets = {} if secrets is None else secrets
        self._reader = reader or SecretReader()

    async def find(self, name: str) -> str | None:
        """The value of a secret, without the line break at its end; None if it was not given.

        Raises:
            SourceError: if it was given, but cannot be read.
        """
        secret = self._secrets.get(name)
        if secret is None:
            return None
        try:
            value = await self._reader.read(secret)
            return None if value is None else value.decode().rstrip("\r\n")
        except StepError as error:
            raise SourceError(error.message, hint=error.hint) from error
        except UnicodeDecodeError:
            raise SourceError(f"the secret {name} is no text") from None

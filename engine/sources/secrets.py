"""The values of secrets that a source names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.errors import SourceError, StepError
from engine.llb.ops import SourceOp
from engine.request import Secret
from engine.secret_values import SecretReader

_USUAL = ("GIT_AUTH_TOKEN", "GIT_AUTH_HEADER", "HTTP_AUTH_TOKEN_", "HTTP_AUTH_HEADER_")
_NAMING = ("git.authtokensecret", "git.authheadersecret", "http.authheadersecret")


class GivenSecrets:
    """The secrets that a source was given, by name."""

    def __init__(self, secrets: Mapping[str, Secret], reader: SecretReader) -> None:
        self._secrets = secrets
        self._reader = reader

    @property
    def all(self) -> frozenset[Secret]:
        """All of them: who has the same may see the same."""
        return frozenset(self._secrets.values())

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


def given(source: SourceOp, secrets: Mapping[str, Secret], reader: SecretReader) -> GivenSecrets:
    """Of a target's secrets, those that a source may ask for."""
    return GivenSecrets({id: secrets[id] for id in for_source(source, secrets)}, reader)


def for_source(source: SourceOp, ids: Iterable[str]) -> list[str]:
    """Which of some secrets a source may ask for."""
    if not source.identifier.startswith(("git://", "http://", "https://")):
        return []
    names = (*_USUAL, *filter(None, map(source.attrs.get, _NAMING)))
    return [id for id in ids if id.startswith(names)]

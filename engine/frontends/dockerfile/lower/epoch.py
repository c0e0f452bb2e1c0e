"""SOURCE_DATE_EPOCH: the time that an image claims to be from."""

from __future__ import annotations

from engine.errors import DefinitionError, UnsupportedError
from engine.frontends.contract import FrontendRequest
from engine.frontends.dockerfile.gotext import parse_int
from engine.frontends.dockerfile.instructions import Dockerfile
from engine.frontends.dockerfile.lower import reference
from engine.frontends.dockerfile.lower.contexts import Context

KEY = "SOURCE_DATE_EPOCH"


def resolve(value: str, request: FrontendRequest, context: Context, dockerfile: Dockerfile) -> int | None:
    """Seconds since 1970, or None for no fixed time.

    A folder has no time of its own. The times of repositories and downloads are not asked for: give a number.

    Raises:
        DefinitionError: if the value means nothing.
        UnsupportedError: if it means a remote source.
    """
    if not value:
        return None
    try:
        return parse_int(value)
    except ValueError:
        pass
    if value == "context":
        if context.remote is None:
            return None
    else:
        named = request.options.get("context:" + _short(value))
        if named is not None and named.startswith("local:"):
            return None
        if named is None and not any(stage.start.name == value.lower() for stage in dockerfile.stages):
            raise DefinitionError(f"invalid {KEY}: {value}")
    raise UnsupportedError(
        f"{KEY}={value}: the time of a remote source cannot be taken over",
        hint=f"give the seconds since 1970 as a number: {KEY}=1700000000",
    )


def _short(name: str) -> str:
    try:
        return reference.parse(name).familiar.removesuffix(":latest")
    except reference.BadReference:
        return name

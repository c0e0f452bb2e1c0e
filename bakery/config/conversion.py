"""Conversions between types: what an assignment, a function argument or the arms of a conditional may become."""

from __future__ import annotations

from collections.abc import Sequence

from bakery.config.types import Type
from bakery.config.values import Value


class ConversionError(Exception):
    """A value that does not become the wanted type; the message is a friendly phrase such as `a number is required`."""


def convert(value: Value, wanted: Type) -> Value:
    """The value as the wanted type. Raises ConversionError."""
    raise NotImplementedError


def unify(types: Sequence[Type]) -> Type | None:
    """The type that values of all these types can become; None if there is none."""
    raise NotImplementedError

"""`--filter` of `bakery du` and `bakery prune`: the peer's short forms, and the language of the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from bakery.settings.quantities import parse_duration
from bakery.values import frozen

_AGES = ("until", "unused-for")
_WHOLE = re.compile(r"[A-Za-z.]+\s*(==|!=|~=)")


@frozen
class Wanted:
    """Which records are meant: those that match the filter and were not used for so many seconds."""

    filter: str
    unused_for: float = 0.0


def wanted_records(filters: Iterable[str]) -> Wanted:
    """What several `--filter` mean together: all must hold. Raises BadParameter.

    `KEY=VALUE` (of `id`, a regular expression), `KEY!=VALUE`, `KEY~=REGEX`, `KEY`, and `until=24h`.
    """
    from engine.cache.filters import parse_filter

    selectors: list[str] = []
    ages: list[float] = []
    for text in filters:
        key, equals, value = text.partition("=")
        if key in _AGES:
            ages.append(_age(key, value))
        elif _WHOLE.match(text) or not equals:
            selectors.append(text)
        else:
            selectors.append(f"id~={value}" if key == "id" else f"{key}=={value}")
    if len(ages) > 1:
        raise click.BadParameter("until and unused-for say the same, and only once", param_hint="--filter")
    joined = ",".join(selectors)
    try:
        parse_filter(joined)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--filter") from None
    return Wanted(joined, *ages)


def _age(key: str, value: str) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{key}: {error}", param_hint="--filter") from None

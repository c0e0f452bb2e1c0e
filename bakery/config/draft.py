"""A target while it is being put together: only what has been set so far, and where.

Values are plain Python by the attribute's kind: str, bool, list[str], dict[str, str], list of entries.
Nothing in a draft is changed in place once it is merged: drafts of parents are shared by all their children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Protocol

from bakery.config.attributes import ATTRIBUTES, Attribute, Merge
from bakery.diagnostics import Span
from bakery.values import frozen, record


class Placed(Protocol):
    """Something in a file, whose lines and columns are worked out when somebody asks for them."""

    @property
    def span(self) -> Span:
        """Where it stands."""
        ...


@frozen
class Place:
    """A place that is known already."""

    span: Span


class SpanMap(Mapping[str, Span]):
    """Spans by attribute, each worked out when it is asked for."""

    def __init__(self, places: Mapping[str, Placed]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Span:
        return self._places[name].span

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@record
class TargetDraft:
    """What one block, or several merged ones, set. `inherits` names the parents still to be merged in."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Placed] = field(default_factory=dict)
    inherits: list[str] = field(default_factory=list)
    span: Span | None = None
    matrix: Mapping[str, str] = field(default_factory=dict)
    edits: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    """Changes to what is inherited, made once everything is merged."""
    folder: str = ""
    """Where an implicit `.` context lies, from the working folder."""

    def span_of(self, attribute: str) -> Span | None:
        """Where an attribute is set; the block if that is not known."""
        placed = self.places.get(attribute)
        return self.span if placed is None else placed.span

    def lay(self, later: TargetDraft) -> None:
        """Merge what `later` sets over what is set here, attribute by attribute."""
        for name, value in later.values.items():
            self.lay_value(ATTRIBUTES[name], value)
        self.places.update(later.places)

    def lay_value(self, attribute: Attribute, value: Any) -> None:
        """Merge one value over what is set here."""
        name = attribute.name
        if name not in self.values:
            self.values[name] = value
        elif attribute.merge is not Merge.NON_EMPTY or value:
            self.values[name] = merged(attribute, self.values[name], value)


def merged(attribute: Attribute, earlier: Any, later: Any) -> Any:
    """Two values of one attribute as one, neither of them changed."""
    match attribute.merge:
        case Merge.APPEND:
            return distinct([*earlier, *later])
        case Merge.APPEND_ALL:
            return [*earlier, *later]
        case Merge.KEYED:
            return keyed([*earlier, *later], attribute.key)
        case Merge.BY_KEY:
            return {**earlier, **later}
        case _:
            return later


def distinct(items: Iterable[Any]) -> list[Any]:
    """Without equals, each at its first place."""
    kept: list[Any] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept


def keyed(entries: Iterable[Any], key: str) -> list[Any]:
    """One entry per key: the last one, at the place of the first."""
    return list({getattr(entry, key): entry for entry in entries}.values())

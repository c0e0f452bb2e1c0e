"""`append-tags = […]`, `remove-args = […]`: changes to what a target inherits, in bakery's own files only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakery.config.attributes import ATTRIBUTES, Attribute, Kind
from bakery.config.decode import tidy_entries
from bakery.config.draft import distinct
from bakery.config.textforms import path_match
from bakery.values import frozen

_LISTS = (Kind.STRINGS, Kind.ENTRIES)

NAMES: Mapping[str, tuple[str, str]] = {
    f"{verb}-{name}": (verb, name)
    for name, attribute in ATTRIBUTES.items()
    for verb in ("append", "remove")
    if attribute.kind in _LISTS or (attribute.kind is Kind.MAP and verb == "remove")
}
"""Every such name, and the verb and attribute it stands for."""


@frozen
class Edit:
    """One change: members to append; or what to remove: members, keys, ids or types of entries, or patterns of them."""

    attribute: Attribute
    verb: str
    data: tuple[Any, ...]

    def __call__(self, values: dict[str, Any]) -> None:
        """Change a draft's values, making new lists and maps."""
        name = self.attribute.name
        if self.verb == "append":
            values[name] = self._appended(values.get(name, []))
        elif name in values:
            values[name] = self._without(values[name])

    def _appended(self, earlier: list[Any]) -> list[Any]:
        combined = [*earlier, *self.data]
        return tidy_entries(self.attribute, combined) if self.attribute.kind is Kind.ENTRIES else distinct(combined)

    def _without(self, earlier: Any) -> Any:
        if isinstance(earlier, dict):
            return {key: value for key, value in earlier.items() if not self._means(key)}
        return [item for item in earlier if not self._means(self._handle(item))]

    def _handle(self, item: Any) -> str:
        if isinstance(item, str):
            return item
        attrs = getattr(item, "attrs", {})
        return str(getattr(item, self.attribute.key)) if self.attribute.key else str(attrs.get("ref", item.type))

    def _means(self, text: str) -> bool:
        return any(pattern == text or _matches(pattern, text) for pattern in self.data)


def _matches(pattern: str, text: str) -> bool:
    """Whether a pattern covers a text. Its `*` goes past slashes: tags are no paths."""
    try:
        return path_match(pattern.replace("/", "\0"), text.replace("/", "\0"))
    except ValueError:
        return False

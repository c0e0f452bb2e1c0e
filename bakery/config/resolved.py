"""`resolved.target.NAME.ATTR`: what a target has of an attribute with all it inherits, before `--set` and flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bakery.config.attributes import ATTRIBUTES
from bakery.config.decode import absent_value, plain, plain_value
from bakery.config.draft import TargetDraft, merged
from bakery.config.values import Value, wholly_known

if TYPE_CHECKING:
    from bakery.config.evaluation import Blocks

_DEFAULTS = {"context": ".", "dockerfile": "Dockerfile"}


class ResolvedValues:
    """Works out merged attributes one by one, so that only attributes that need each other make a cycle."""

    def __init__(self, blocks: Blocks, compose: Mapping[str, TargetDraft]) -> None:
        self._blocks = blocks
        self._compose = compose
        self._known: dict[tuple[str, str], Any] = {}

    def names(self) -> list[str]:
        """All targets that can be referred to."""
        return [*self._compose, *self._blocks.expanded]

    def value(self, name: str, attribute: str) -> Value:
        """The value of a reference. Raises BakeryError for what is wrong in the attributes it is made of."""
        found = self._merged(name, attribute, ())
        if found is None:
            found = _DEFAULTS.get(attribute)
        known = ATTRIBUTES[attribute]
        return absent_value(known) if found is None else plain_value(known, found)

    def _merged(self, name: str, attribute: str, path: tuple[str, ...]) -> Any:
        if name in path:
            return None
        slot = (name, attribute)
        if slot in self._known:
            return self._known[slot]
        found: Any = None
        targets = self._blocks.expanded.get(name, [])
        for target in targets:
            for parent in self._blocks.inherits(target):
                found = _over(attribute, found, self._merged(parent, attribute, (*path, name)))
        if name in self._compose:
            found = _over(attribute, found, self._compose[name].values.get(attribute))
        for target in targets:
            value = self._blocks.value(target, attribute)
            if value is not None and value.raw is not None and wholly_known(value):
                expr = target.source.block.body.attributes[attribute].expr
                found = _over(attribute, found, plain(ATTRIBUTES[attribute], value, expr))
        for target in targets:
            values = {} if found is None else {attribute: found}
            for edit in self._blocks.edits(target):
                if edit.attribute.name == attribute:
                    edit(values)
            found = values.get(attribute)
        if not path:
            self._known[slot] = found
        return found


def _over(attribute: str, earlier: Any, later: Any) -> Any:
    if earlier is None or later is None:
        return earlier if later is None else later
    return merged(ATTRIBUTES[attribute], earlier, later)

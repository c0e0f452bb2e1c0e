"""Which steps' results go into an exported cache: all, none, or those that took longer than some seconds."""

from __future__ import annotations

from enum import Enum
from fnmatch import fnmatchcase

from engine.values import frozen


class When(Enum):
    """Whether a result is exported."""

    ALWAYS = "always"
    NEVER = "never"
    SLOWER = "slower"
    """Only if making it again would take longer than the policy's seconds."""


@frozen
class ExportRule:
    """What holds for steps whose name matches a pattern of `*`, `?` and `[…]`."""

    pattern: str
    when: When
    seconds: float = 0.0


@frozen
class ExportPolicy:
    """The first rule whose pattern matches a step's name decides; where none does, the result is exported.

    What is left out costs the importer that step's work again, but no result is ever wrong for it.
    """

    rules: tuple[ExportRule, ...] = ()

    def exports(self, name: str, seconds: float) -> bool:
        """Whether the result of the step of this name, which took `seconds` to make, goes into an exported cache."""
        rule = next((rule for rule in self.rules if fnmatchcase(name, rule.pattern)), None)
        if rule is None or rule.when is When.ALWAYS:
            return True
        return rule.when is When.SLOWER and seconds > rule.seconds

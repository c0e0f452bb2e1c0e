"""What is to be checked: `skip=A,B;error=true;experimental=all`, in a directive, a build argument or a comment."""

from __future__ import annotations

from collections.abc import Iterable

from engine.frontends.dockerfile.directives import DirectiveReader
from engine.frontends.dockerfile.gotext import SPACE, parse_bool, quote
from engine.frontends.dockerfile.lint.rules import Rule
from engine.frontends.dockerfile.source import DockerfileError
from engine.values import frozen

_ALL = "all"
_MAX_PARTS = 3


class BadCheckOption(ValueError):
    """A text that is no list of check options."""


@frozen
class CheckOptions:
    """Which rules hold. Those of `skip` and `experimental` are names of rules; `error`: a violation fails the build."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False

    def holds(self, rule: Rule) -> bool:
        """Whether a rule is checked. `skip=all` does not reach experimental ones: they are only checked if named."""
        if rule.experimental:
            return self.experimental_all or rule.name in self.experimental
        return not self.skip_all and rule.name not in self.skip

    def merged(self, other: CheckOptions) -> CheckOptions:
        """With what a comment above one instruction adds; `error` holds for the whole file only."""
        return CheckOptions(
            self.skip | other.skip,
            self.skip_all or other.skip_all,
            self.experimental | other.experimental,
            self.experimental_all or other.experimental_all,
            self.error,
        )

    def under(self, comments: Iterable[str]) -> CheckOptions:
        """As they are for an instruction with these comments above it: the first `check=` among them counts."""
        for comment in comments:
            if "check" not in comment.lower():
                continue
            try:
                directive = DirectiveReader("").read(comment)
                if directive is None or directive.name != "check":
                    continue
                return self.merged(parse(directive.value.partition(" ")[0]))
            except (DockerfileError, BadCheckOption):
                return self
        return self


def parse(text: str) -> CheckOptions:
    """The options of a text; an empty one has none.

    Raises:
        BadCheckOption: with the peer's message.
    """
    text = text.strip(SPACE)
    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error = False
    for part in text.split(";", _MAX_PARTS - 1) if text else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(SPACE), value.strip(SPACE)
        if not equals:
            raise BadCheckOption(f"invalid check option {quote(part)}")
        if key == "skip":
            skip = _names(value)
        elif key == "experimental":
            experimental = _names(value)
        elif key == "error":
            found = parse_bool(value)
            if found is None:
                reason = f"strconv.ParseBool: parsing {quote(value)}: invalid syntax"
                raise BadCheckOption(f"failed to parse check option {quote(part)}: {reason}")
            error = found
        else:
            raise BadCheckOption(f"invalid check option {quote(key)}")
    return CheckOptions(skip - {_ALL}, _ALL in skip, experimental - {_ALL}, _ALL in experimental, error)


def _names(value: str) -> frozenset[str]:
    """Rules by name; `all` means all only where it stands alone."""
    if value == _ALL:
        return frozenset({_ALL})
    return frozenset(name.strip(SPACE) for name in value.split(",")) - {_ALL}

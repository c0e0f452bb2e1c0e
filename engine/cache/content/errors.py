"""A path that something wants and that is not there: what else is, and which rule hides it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from engine.errors import SourceError
from engine.tree import Tree, resolve

_MOST = 3
_LISTED = 8


class MissingError(SourceError):
    """`path` is not in a tree.

    `nearest` are existing paths that it may have meant; `rule` is the pattern hiding it, in `line` of its file; `there`
    says what the folder has instead, where nothing is like it.
    """

    def __init__(
        self, path: str, nearest: Sequence[str] = (), rule: str | None = None, line: int = 0, there: str = ""
    ) -> None:
        hint = ""
        if rule is not None:
            where = f"line {line} of .dockerignore ({rule!r})" if line else f"the pattern {rule!r} of .dockerignore"
            hint = f"it is there, but {where} hides it"
        elif nearest:
            hint = "did you mean " + " or ".join(nearest) + "?"
        elif there:
            hint = there
        super().__init__(f'"{path}": not found', hint=hint)
        self.path = path
        self.nearest = tuple(nearest)
        self.rule = rule


@runtime_checkable
class Filtered(Protocol):
    """A tree that shows only part of a folder."""

    def hidden_by(self, path: str) -> str | None:
        """The pattern that hides a path which the folder holds."""
        ...

    def line_of(self, pattern: str) -> int:
        """The line of .dockerignore with a pattern, 0 if there is none."""
        ...

    def offered(self) -> Tree:
        """All that is not hidden by a pattern."""
        ...


def missing(tree: Tree, path: str) -> MissingError:
    """The error for a path that is not in a tree."""
    if not isinstance(tree, Filtered):
        nearest, there = _around(tree, path)
        return MissingError(path, nearest, there=there)
    rule = tree.hidden_by(path)
    nearest, there = _around(tree.offered(), path)
    return MissingError(path, nearest, rule, tree.line_of(rule) if rule else 0, there)


def _around(tree: Tree, path: str) -> tuple[list[str], str]:
    """The names most like the first part of the path that is not there, in the folder where it is not; what it has."""
    from difflib import get_close_matches

    there = "/"
    for part in path.strip("/").split("/"):
        try:
            folder = resolve(tree, there)
            if tree.lstat(posixpath.join(folder, part)) is None:
                names = [name for name in tree.names(folder) if os.fsencode(name).isascii() or name.isprintable()]
                folded = {name.casefold(): name for name in names}
                close = get_close_matches(part.casefold(), folded, n=_MOST, cutoff=0.6)
                return [posixpath.join(there, folded[name]) for name in close], _listed(there, names)
        except OSError:
            return [], ""
        there = posixpath.join(there, part)
    return [], ""


def _listed(folder: str, names: Sequence[str]) -> str:
    if not names:
        return f"{folder} is empty"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{folder} has {', '.join(names[:_LISTED])}{more}"

"""What checks found: warnings in order, and whether they fail the build."""

from __future__ import annotations

from engine.errors import DefinitionError
from engine.frontends.contract import FrontendWarning
from engine.frontends.dockerfile.instructions import Instruction
from engine.frontends.dockerfile.lexer import Statement
from engine.frontends.dockerfile.lint.options import CheckOptions
from engine.frontends.dockerfile.lint.rules import OWN, Rule
from engine.frontends.dockerfile.source import Source
from engine.llb.ops import Position, Range


class Report:
    """The warnings of one Dockerfile."""

    def __init__(self, source: Source, options: CheckOptions) -> None:
        self._source = source
        self._options = options
        self.warnings: list[FrontendWarning] = []

    def add(
        self,
        rule: Rule,
        where: Instruction | Statement | tuple[int, int],
        detail: str,
        *,
        focus: str = "",
        comments: tuple[str, ...] | None = None,
    ) -> None:
        """Notes a violation, unless the rule is not checked there.

        Args:
            rule: that is violated.
            where: the instruction, or lines.
            detail: what is wrong.
            focus: the part of the instruction's text that is to blame.
            comments: those in which a `check=` counts; None: those above the instruction.
        """
        statement = where.statement if isinstance(where, Instruction) else where
        lines = statement if isinstance(statement, tuple) else (statement.first, statement.last)
        if comments is None:
            comments = () if isinstance(statement, tuple) else statement.comments
        if not self._options.under(comments).holds(rule):
            return
        found = None if isinstance(statement, tuple) else _find(statement, focus)
        places = (self._source.place(*lines),) if lines[0] > 0 else ()
        self.warnings.append(FrontendWarning(rule.name, rule.description, detail, rule.url, places, found))

    def raise_if_wanted(self) -> None:
        """Fails where the file asks for that and a rule of the peer's is violated.

        Raises:
            DefinitionError: naming the rules.
        """
        names = sorted({warning.rule for warning in self.warnings} - OWN)
        if self._options.error and names:
            raise DefinitionError(f"lint violation found for rules: {', '.join(names)}")


def _find(statement: Statement, focus: str) -> Range | None:
    """Where a part of a statement stands, columns from 0; None where it is not there as written."""
    at = statement.text.find(focus) if focus.strip() else -1
    if at < 0:
        return None
    at += len(focus) - len(focus.lstrip())
    size = len(focus.strip())
    line, column = statement.position(at)
    last_line, last_column = statement.position(at + size - 1)
    return Range(Position(line, column), Position(last_line, last_column + 1))

"""`bakery fmt`: HCL files in one layout, comments kept. Formatting twice changes nothing more.

The layout is that of the reference formatter: two spaces a level, `=` aligned in runs of one-line attributes, trailing
comments aligned in runs. Only white space changes: strings, heredocs and comments stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from bakery.config.hcl.lexer import (
    CLOSE_HEREDOC,
    CLOSE_QUOTE,
    COMMENT,
    END,
    IDENT,
    NEWLINE,
    NUMBER,
    OPEN_HEREDOC,
    OPEN_QUOTE,
    tokenize,
)
from bakery.config.hcl.parser import parse_body
from bakery.diagnostics import BakeryError, Severity, SourceFile
from bakery.values import frozen

_STRING = "string"
_OPEN = frozenset("([{")
_CLOSE = frozenset(")]}")
_TIGHT_BEFORE = frozenset({")", "]", ",", ".", "...", "::"})
_TIGHT_AFTER = frozenset({"(", "[", ".", "::"})
_KEYWORDS = frozenset({"in", "if"})
_OPERANDS = frozenset({IDENT, NUMBER, _STRING, ")", "]", "}"})


@frozen
class _Atom:
    """A token, or a whole string or heredoc: what keeps its text."""

    kind: str
    text: str


@dataclass(slots=True)
class _Line:
    atoms: list[_Atom] = field(default_factory=list)
    comment: str = ""
    """A comment after code on the same line."""

    indent: int = 0
    pad: int = 0
    """Spaces added before the `=` of an attribute."""

    @property
    def is_attribute(self) -> bool:
        """Whether this is an attribute on one line, which may be aligned with its neighbours."""
        return (
            len(self.atoms) > 2
            and self.atoms[0].kind in (IDENT, _STRING)
            and self.atoms[1].kind == "="
            and _net(self.atoms) == 0
        )


def format_hcl(file: SourceFile) -> str:
    """The file in the standard layout. Raises BakeryError for a file that cannot be parsed."""
    _, problems = parse_body(file)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise BakeryError(*errors)
    atoms = _atoms(file.text)
    lines = _without_extra_blanks(_lines(atoms))
    _indent(lines)
    _align(lines)
    text = "".join(f"{_text(line)}\n" for line in lines)
    if _significant(_atoms(text)) != _significant(atoms):
        raise BakeryError.of(f"{file.name}: cannot be formatted safely", "the result would mean something else")
    return text


def _significant(atoms: list[_Atom]) -> list[_Atom]:
    return [_Atom(atom.kind, atom.text.strip()) for atom in atoms if atom.kind != NEWLINE]


def _atoms(text: str) -> list[_Atom]:
    found: list[_Atom] = []
    depth = start = 0
    for kind, begin, end in tokenize(text):
        if kind in (OPEN_QUOTE, OPEN_HEREDOC):
            start = begin if depth == 0 else start
            depth += 1
        elif kind in (CLOSE_QUOTE, CLOSE_HEREDOC):
            depth -= 1
            if depth == 0:
                found.append(_Atom(_STRING, text[start:end]))
        elif depth == 0 and kind != END:
            found.append(_Atom(kind, text[begin:end]))
    return found


def _lines(atoms: list[_Atom]) -> list[_Line]:
    lines = [_Line()]
    for atom in atoms:
        line = lines[-1]
        if atom.kind == NEWLINE:
            lines.append(_Line())
        elif atom.kind == COMMENT and atom.text.startswith("/*"):
            line.atoms.append(atom)
        elif atom.kind == COMMENT:
            comment = atom.text.rstrip()
            if line.atoms:
                line.comment = comment
            else:
                line.atoms.append(_Atom(COMMENT, comment))
            if atom.text.endswith("\n"):
                lines.append(_Line())
        else:
            line.atoms.append(atom)
    return lines


def _without_extra_blanks(lines: list[_Line]) -> list[_Line]:
    """No blank lines at either end, and never two in a row."""
    kept: list[_Line] = []
    for line in lines:
        if line.atoms or (kept and kept[-1].atoms):
            kept.append(line)
    while kept and not kept[-1].atoms:
        kept.pop()
    return kept


def _net(atoms: list[_Atom]) -> int:
    return sum((atom.kind in _OPEN) - (atom.kind in _CLOSE) for atom in atoms)


def _indent(lines: list[_Line]) -> None:
    """One level per line that leaves brackets open, however many: `f([{` and its `}])` are one level apart."""
    levels: list[int] = []
    for line in lines:
        net = _net(line.atoms)
        if net < 0:
            _leave(levels, -net)
        line.indent = len(levels)
        if net >= 0 and levels and line.atoms and line.atoms[0].kind in _CLOSE:
            line.indent -= 1
        if net > 0:
            levels.append(net)


def _leave(levels: list[int], count: int) -> None:
    while count > 0 and levels:
        if levels[-1] > count:
            levels[-1] -= count
            return
        count -= levels.pop()


def _align(lines: list[_Line]) -> None:
    run: list[_Line] = []
    for line in [*lines, _Line()]:
        if line.is_attribute and (not run or run[-1].indent == line.indent) and not _is_multiline(line):
            run.append(line)
            continue
        width = max((len(member.atoms[0].text) for member in run), default=0)
        for member in run:
            member.pad = width - len(member.atoms[0].text)
        run = [line] if line.is_attribute and not _is_multiline(line) else []
    _align_comments(lines)


def _is_multiline(line: _Line) -> bool:
    return any("\n" in atom.text for atom in line.atoms)


def _align_comments(lines: list[_Line]) -> None:
    run: list[_Line] = []
    for line in [*lines, _Line()]:
        if line.comment:
            run.append(line)
            continue
        width = max((len(_code(member)) for member in run), default=0)
        for member in run:
            member.comment = " " * (width - len(_code(member))) + member.comment
        run = []


def _text(line: _Line) -> str:
    code = _code(line)
    return f"{code} {line.comment}" if line.comment else code


def _code(line: _Line) -> str:
    if not line.atoms:
        return ""
    parts = ["  " * line.indent, line.atoms[0].text]
    before: _Atom | None = None
    for number, (left, right) in enumerate(pairwise(line.atoms)):
        if number == 0:
            parts.append(" " * line.pad)
        if _spaced(before, left, right):
            parts.append(" ")
        parts.append(right.text)
        before = left
    return "".join(parts)


def _spaced(before: _Atom | None, left: _Atom, right: _Atom) -> bool:
    """Whether a space stands between two neighbours; `before` is what stands before the left one."""
    if left.kind == "{" and right.kind == "}":
        return False
    if right.kind in _TIGHT_BEFORE or left.kind in _TIGHT_AFTER:
        return False
    if left.kind in ("-", "!") and not _is_operand(before):
        return False  # a sign, not an operator
    if left.kind == "*" and before is not None and before.kind == ".":
        return False
    if right.kind in ("(", "["):
        return not (_is_operand(left) and left.kind != "}") or (right.kind == "(" and left.kind != IDENT)
    return True


def _is_operand(atom: _Atom | None) -> bool:
    return atom is not None and atom.kind in _OPERANDS and not (atom.kind == IDENT and atom.text in _KEYWORDS)

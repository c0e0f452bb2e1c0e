"""Path patterns: Go's `path.Match`, and the pattern lists of .dockerignore, COPY --exclude and source filters.

A pattern is literal text with `*` (anything but `/`), `?` (one character but `/`), `[a-z]`, `[^a-z]` and backslash
escapes. A pattern list adds `**` (anything, also across `/`) and `!` (exceptions); the last pattern that applies wins,
and what matches a folder holds for everything below it, until an exception takes it out again.

Syntax: https://pkg.go.dev/path#Match, https://docs.docker.com/build/concepts/context/#dockerignore-files. Where the
peer's matcher lets `{`, `|`, `^` or an escaped letter through to its regular expressions, they are plain text here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cache, lru_cache

from engine.values import frozen

_SPECIAL = frozenset("*?[]\\^")


class PatternError(ValueError):
    """A pattern that is not well-formed; the message names it."""


_WILDCARD = re.compile(r"(?:[^\\*?\[]|\\.)*[*?\[]", re.DOTALL)


def has_wildcard(pattern: str) -> bool:
    """Whether it can match anything but one text: an unescaped `*`, `?` or `[`."""
    return _WILDCARD.match(pattern) is not None


@lru_cache(maxsize=4096)
def glob(pattern: str) -> re.Pattern[str]:
    """What `fullmatch` makes of Go's `path.Match`. Raises PatternError."""
    return re.compile("".join("[^/]*" if t == "*" else t for t in _tokens(pattern)), re.DOTALL)


def literal(pattern: str) -> str:
    """A pattern that matches just this text."""
    return re.sub(r"[*?\[\]\\]|\A!", r"\\\g<0>", pattern)


@frozen
class Pattern:
    """One pattern of a list: `text` cleaned and without `!`; `exception` if it had one; `source` as it was written."""

    text: str
    exception: bool
    source: str

    def matches(self, path: str) -> bool:
        """Whether it matches this very path, parents left aside."""
        return _list_regex(self.text).fullmatch(path) is not None


@frozen
class Match:
    """How a list decided about a path, and what holds for the paths below it."""

    matched: bool = False
    inherited: tuple[bool, ...] = ()


TOP = Match()
"""What the paths at the top start with."""


class PatternMatcher:
    """A list of patterns as one. Paths are relative, without leading or trailing slash.

    Not only the list's order counts but also that a pattern is not asked where it could change nothing, and so leaves
    no mark for the paths below: patterns `d/e`, `!d` exclude `d/e`. The peer walks folders like this, too.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises PatternError."""
        self.patterns = tuple(p for source in patterns if (p := _parse(source)))
        self._groups = _groups(self.patterns)
        self._folders: dict[str, Match] = {"": TOP}
        self._reach = {sign: _reach(self.patterns, sign) for sign in (False, True)}

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def match(self, path: str, parent: Match = TOP) -> Match:
        """Decides about a path whose folder was decided about as `parent`."""
        matched, marks = False, []
        inherited = parent.inherited or (False,) * len(self._groups)
        for group, mark in zip(self._groups, inherited, strict=True):
            if not mark and group.exception == matched:
                mark = group.matches(path)
            if mark:
                matched = not group.exception
            marks.append(mark)
        return Match(matched, tuple(marks))

    def excluded(self, path: str) -> bool:
        """Whether the list matches a path, be it by a folder above it."""
        return self.match(path, self._folder(posixpath.dirname(path))).matched

    def rule_for(self, path: str) -> str | None:
        """The pattern, as it was written, by which a path is excluded; None if it is not."""
        marks = [False] * len(self.patterns)
        rule = None
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            rule = None
            here = "/".join(parts[:end])
            for i, pattern in enumerate(self.patterns):
                if not marks[i] and pattern.exception == (rule is not None):
                    marks[i] = pattern.matches(here)
                if marks[i]:
                    rule = None if pattern.exception else (rule or pattern.source)
        return rule

    def may_match_below(self, folder: str) -> bool:
        """Whether something in a folder that is not matched may be; False only if that is sure."""
        return self._reaches(folder, exception=False)

    def may_except_below(self, folder: str) -> bool:
        """Whether something in a folder that is matched may be taken out again; False only if that is sure."""
        return self._reaches(folder, exception=True)

    def _reaches(self, folder: str, exception: bool) -> bool:
        prefixes = self._reach[exception]
        return prefixes is None or any(prefix.startswith(folder + "/") for prefix in prefixes)

    def _folder(self, path: str) -> Match:
        known = self._folders.get(path)
        if known is None:
            known = self._folders[path] = self.match(path, self._folder(posixpath.dirname(path)))
        return known


@frozen
class _Group:
    """Neighbouring patterns of one sign: any of them decides, so they are asked as one."""

    exception: bool
    exact: frozenset[str]
    others: re.Pattern[str] | None

    def matches(self, path: str) -> bool:
        return path in self.exact or (self.others is not None and self.others.fullmatch(path) is not None)


def _groups(patterns: tuple[Pattern, ...]) -> tuple[_Group, ...]:
    runs: list[list[Pattern]] = []
    for pattern in patterns:
        if runs and runs[-1][0].exception == pattern.exception:
            runs[-1].append(pattern)
        else:
            runs.append([pattern])
    return tuple(_group(run) for run in runs)


def _group(run: list[Pattern]) -> _Group:
    exact = frozenset(p.text for p in run if not _SPECIAL & set(p.text))
    others = [f"(?:{_list_regex(p.text).pattern})" for p in run if _SPECIAL & set(p.text)]
    return _Group(run[0].exception, exact, re.compile("|".join(others), re.DOTALL) if others else None)


def _reach(patterns: tuple[Pattern, ...], exception: bool) -> tuple[str, ...] | None:
    """The literal paths that patterns of one sign start from; None if one starts with a wildcard part."""
    prefixes = []
    for pattern in patterns:
        if pattern.exception == exception:
            text = pattern.text.removesuffix("/**").removesuffix("/*")
            if _SPECIAL & set(text):
                return None
            prefixes.append(text + "/")
    return tuple(prefixes)


def _parse(source: str) -> Pattern | None:
    text = source.strip()
    exception = text.startswith("!")
    if exception:
        text = text[1:].strip()
        if not text:
            raise PatternError('illegal exclusion pattern: "!"')
    if not text:
        return None
    text = posixpath.normpath(text)
    text = text[1:] if text.startswith("//") else text  # normpath keeps two leading slashes, as POSIX allows
    if _SPECIAL & set(text):
        _list_regex(text)  # which says what is wrong with it
    return Pattern(text, exception, source)


@cache
def _list_regex(text: str) -> re.Pattern[str]:
    """`**` is any number of whole or part names; before a slash it may be none at all."""
    out, tokens, i = [], _tokens(text), 0
    while i < len(tokens):
        token = tokens[i]
        if token != "*" or tokens[i + 1 : i + 2] != ["*"]:
            out.append("[^/]*" if token == "*" else token)
            i += 1
            continue
        i += 2
        slash = tokens[i : i + 1] == ["/"]
        i += slash
        if i == len(tokens):
            out.append(".*")
        elif slash or _SPECIAL & set(text[2:]) or out:
            out.append("(?:.*/)?")
        else:
            out.append(".*")  # **suffix: part names, too, but only where nothing else is special
    return re.compile("".join(out), re.DOTALL)


def _tokens(pattern: str) -> list[str]:
    """The parts of a pattern as regular expressions; a star stays `*`. Raises PatternError."""
    out, i = [], 0
    while i < len(pattern):
        char = pattern[i]
        if char == "[":
            piece, i = _char_class(pattern, i + 1)
            out.append(piece)
            continue
        if char == "\\":
            i += 1
            if i == len(pattern):
                raise PatternError(f"the pattern {pattern!r} ends in a backslash that escapes nothing")
            out.append(re.escape(pattern[i]))
        else:
            out.append({"*": "*", "?": "[^/]"}.get(char) or re.escape(char))
        i += 1
    return out


def _char_class(pattern: str, i: int) -> tuple[str, int]:
    """A class as a regular expression, and where it ends; `i` is behind its opening bracket."""
    negated = pattern[i : i + 1] == "^"
    i += negated
    items: list[tuple[str, str]] = []
    while not items or pattern[i : i + 1] != "]":
        low, i = _class_char(pattern, i)
        high = low
        if pattern[i : i + 1] == "-":
            high, i = _class_char(pattern, i + 1)
        items.append((low, high))
    ranges = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in items if low <= high)
    if not ranges:
        return ("." if negated else "(?!)"), i + 1
    return f"[{'^' * negated}{ranges}]", i + 1


def _class_char(pattern: str, i: int) -> tuple[str, int]:
    if pattern[i : i + 1] == "\\":
        i += 1
    elif pattern[i : i + 1] in ("]", "-"):
        raise PatternError(f"the pattern {pattern!r} has a character class with a misplaced {pattern[i]!r}")
    if i >= len(pattern):
        raise PatternError(f"the pattern {pattern!r} has a character class that is not closed")
    return pattern[i], i + 1


NO_PATTERNS = PatternMatcher(())
"""Matches nothing."""

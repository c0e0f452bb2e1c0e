"""The language of .dockerignore: which files of a context are left out, and by which rule.

Rules are tried in order and the last that decides wins; `!` takes files in again. `*`, `?` and `[…]` stay within one
part of a path, `**` crosses parts. The algorithm is that of moby's patternmatcher, with its way of walking a tree:
what a folder's rules decided is handed down to what is in it, so a rule that was not asked at the folder is asked again
at each entry, but only about the entry itself.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence

from engine.frontends.dockerfile.gotext import SPACE
from engine.llb.paths import clean
from engine.values import frozen

_BOM = "\ufeff"
_REGEX_CHARS = frozenset(".+()|{}$")
_ALL = frozenset({"*", "**", "**/*"})
_Verdicts = tuple[bool, ...]


class BadPattern(ValueError):
    """A rule that is no pattern."""


def patterns(text: str) -> list[str]:
    """The rules of a file, cleaned, as definitions hold them. `#` makes a comment only in the first column."""
    return [rule for _, rule in _rules(text)]


def _rules(text: str) -> Iterable[tuple[int, str]]:
    for line, row in enumerate(text.removeprefix(_BOM).split("\n"), 1):
        if row.startswith("#"):
            continue
        rule = row.strip(SPACE)
        if not rule:
            continue
        invert = rule.startswith("!")
        if invert:
            rule = rule[1:].strip(SPACE)
        if rule:
            rule = clean(rule)
            if len(rule) > 1:
                rule = rule.removeprefix("/")
        yield line, ("!" + rule if invert else rule)


@frozen
class Rule:
    """One rule. `line` is where it stands in the file, 0 if it came from elsewhere."""

    pattern: str
    includes: bool
    line: int
    kind: str
    regex: re.Pattern[str] | None

    def matches(self, path: str) -> bool:
        """Whether the rule is about a path itself."""
        if self.kind == "exact":
            return path == self.pattern
        if self.kind == "prefix":
            return path.startswith(self.pattern[:-2])
        if self.kind == "suffix":
            suffix = self.pattern[2:]
            return path.endswith(suffix) or (suffix[:1] == "/" and path == suffix[1:])
        return self.regex is not None and self.regex.match(path) is not None

    @property
    def written(self) -> str:
        """The rule with its `!`."""
        return "!" + self.pattern if self.includes else self.pattern


class IgnoreMatcher:
    """The rules of one file."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._folders: dict[str, _Verdicts] = {}

    @classmethod
    def parse(cls, text: str) -> IgnoreMatcher:
        """The rules of a .dockerignore file.

        Raises:
            BadPattern: for a rule that is no pattern.
        """
        return cls([rule for line, text in _rules(text) if (rule := _compile(text, line))])

    @classmethod
    def of(cls, rules: Iterable[str]) -> IgnoreMatcher:
        """The rules of a list. Raises as `parse`."""
        return cls([found for rule in rules if (found := _compile(rule, 0))])

    @property
    def has_exceptions(self) -> bool:
        """Whether some rule takes files in again."""
        return any(rule.includes for rule in self.rules)

    @property
    def excludes_all(self) -> bool:
        """Whether some rule leaves out everything at the top."""
        return any(rule.pattern in _ALL and not rule.includes for rule in self.rules)

    def excluded(self, path: str) -> bool:
        """Whether a file or folder of the tree is left out. Paths are relative, with slashes."""
        rule = self.rule_for(path)
        return rule is not None and not rule.includes

    def rule_for(self, path: str) -> Rule | None:
        """The rule that decides about a path, be it by leaving it out or by taking it in again; None: no rule does."""
        path = clean(path.strip("/") or ".")
        if path == ".":
            return None
        return self._decide(path, self._verdicts(path.rpartition("/")[0]))[0]

    def matches(self, path: str) -> bool:
        """Whether the rules leave out a path or a folder above it, asked without walking: for checks of sources."""
        parts = clean(path).split("/")
        ways = ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
        matched = False
        for rule in self.rules:
            if rule.includes == matched and any(map(rule.matches, ways)):
                matched = not rule.includes
        return matched

    def _verdicts(self, folder: str) -> _Verdicts | None:
        """What each rule said of a folder; None for the root, of which none is asked."""
        if not folder:
            return None
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._decide(folder, self._verdicts(folder.rpartition("/")[0]))[1]
        return known

    def _decide(self, path: str, above: _Verdicts | None) -> tuple[Rule | None, _Verdicts]:
        decided: Rule | None = None
        verdicts = []
        matched = False
        for at, rule in enumerate(self.rules):
            match = above is not None and above[at]
            if not match and rule.includes == matched:
                match = rule.matches(path)
            verdicts.append(match)
            if match:
                matched = not rule.includes
                decided = rule
        return decided, tuple(verdicts)


def _compile(rule: str, line: int) -> Rule | None:
    text = rule.strip(SPACE)
    if not text:
        return None
    text = clean(text)
    includes = text.startswith("!")
    if includes:
        text = text[1:]
        if not text:
            raise BadPattern('illegal exclusion pattern: "!"')
    _check(text)
    kind, regex = _translate(text)
    return Rule(text, includes, line, kind, regex)


def _check(pattern: str) -> None:
    """Refuses what Go's filepath.Match calls malformed: an open class, a bad range, an escape at the end."""
    at, size = 0, len(pattern)
    while at < size:
        char = pattern[at]
        at += 1
        if char == "\\":
            if at == size:
                raise BadPattern("syntax error in pattern")
            at += 1
        elif char == "[":
            at = _check_class(pattern, at)


def _check_class(pattern: str, at: int) -> int:
    at += pattern.startswith("^", at)
    count = 0
    while not (count and pattern.startswith("]", at)):
        at = _class_char(pattern, at)
        if pattern.startswith("-", at):
            at = _class_char(pattern, at + 1)
        count += 1
    return at + 1


def _class_char(pattern: str, at: int) -> int:
    if pattern[at : at + 1] in ("", "-", "]"):
        raise BadPattern("syntax error in pattern")
    at += pattern.startswith("\\", at)
    if at + 1 >= len(pattern):
        raise BadPattern("syntax error in pattern")
    return at + 1


def _translate(pattern: str) -> tuple[str, re.Pattern[str] | None]:
    """How a pattern is compared: as it is, by its beginning or end, or as a regular expression."""
    out: list[str] = []
    kind = "exact"
    at, size, count = 0, len(pattern), 0
    while at < size:
        char = pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            at += 1
            at += pattern.startswith("/", at)
            if at < size:
                out.append("(.*/)?")
                kind = "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                out.append(".*")
                kind = "regex"
            if count == 0:
                kind = "suffix"
        elif char in "*?":
            out.append("[^/]*" if char == "*" else "[^/]")
            kind = "regex"
        elif char == "\\" and at < size:
            out.append("\\" + pattern[at])
            at += 1
            kind = "regex"
        elif char in "[]":
            out.append(char)
            kind = "regex"
        else:
            out.append("\\" + char if char in _REGEX_CHARS or char == "\\" else char)
        count += 1
    if kind != "regex":
        return kind, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a `[` in a class is fine with Go
            return kind, re.compile("".join(out) + r"\Z", re.ASCII)
    except re.error:
        raise BadPattern("syntax error in pattern") from None

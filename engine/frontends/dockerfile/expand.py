"""Variables and quotes in instructions: `$x`, `${x:-default}`, `${x#prefix}`, `${x//a/b}`, `'…'`, `"…"` and escapes.

The rules are those of the Dockerfile frontend, which are like a shell's but not the same; the places where they
surprise say so. `Expander.text` gives one text (blanks stay), `Expander.words` splits at blanks after replacing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from engine.frontends.dockerfile.gotext import SPACE, quote
from engine.values import frozen, record

END = ""
_UNKNOWN = "\ufffd"
_SPECIAL = frozenset("@*#?-$!0")
_SPACES = frozenset(SPACE)
_SPECIAL_TEXT = re.compile(r"[$'\"\\`\ufeff]")
_PLAIN = re.compile(r"[^$<'\"\\`]+")
"""What means nothing but itself, whatever the rules are."""
_TEMPLATE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


class ExpansionError(ValueError):
    """A text that cannot be expanded. `missing` are the variables that were not found before that was known."""

    missing: frozenset[str] = frozenset()


class Variables(Protocol):
    """Where values come from."""

    def get(self, key: str, /) -> str | None:
        """The value, or None if there is none."""
        ...


@frozen
class Expansion:
    """A text after expansion, and the names of variables that were found and not found on the way."""

    text: str
    found: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()


@frozen
class Expander:
    """How to expand.

    Attributes:
        escape: the escape character of the Dockerfile.
        keep_quotes: quotes stay in the text (and what they enclose stays unsplit).
        keep_escapes: the escape character stays.
        no_quotes: quotes mean nothing: for the contents of heredocs.
        keep_unset: a variable that is not set stays as it is written.
    """

    escape: str = "\\"
    keep_quotes: bool = False
    keep_escapes: bool = False
    no_quotes: bool = False
    keep_unset: bool = False

    def text(self, word: str, variables: Variables) -> str:
        """One text.

        Raises:
            ExpansionError: `failed to process "…": …`.
        """
        if not _SPECIAL_TEXT.search(word):
            return word
        return self.full(word, variables).text

    def full(self, word: str, variables: Variables) -> Expansion:
        """One text, and which variables it used. Raises as `text` does."""
        if not _SPECIAL_TEXT.search(word):
            return Expansion(word)
        run = _Run(self, word, variables)
        try:
            out = run.whole()
        except ExpansionError as error:
            error.missing = frozenset(run.missing)
            raise
        return Expansion(out, frozenset(run.found), frozenset(run.missing))

    def words(self, word: str, variables: Variables) -> list[str]:
        """Words, split at blanks that are not quoted. Raises as `text` does."""
        run = _Run(self, word, variables)
        run.whole()
        return run.split.finish()


@record
class _Split:
    """Words as they grow."""

    done: list[str] = field(default_factory=list)
    part: str = ""
    open: bool = False

    def raw(self, text: str) -> None:
        self.part += text
        self.open = True

    def add(self, text: str) -> None:
        if text and _SPACES.isdisjoint(text):
            self.raw(text)
            return
        for char in text:
            if char not in _SPACES:
                self.raw(char)
            elif self.open and self.part:
                self.done.append(self.part)
                self.part, self.open = "", False

    def finish(self) -> list[str]:
        if self.part:
            self.done.append(self.part)
            self.part, self.open = "", False
        return self.done


class _Run:
    """One expansion: a position in a text."""

    __slots__ = ("at", "found", "keep_escapes", "missing", "rules", "source", "split", "variables")

    def __init__(self, rules: Expander, source: str, variables: Variables) -> None:
        self.rules, self.variables = rules, variables
        self.source = source
        self.at = 1 if source.startswith("\ufeff") else 0
        self.keep_escapes = rules.keep_escapes
        self.found: set[str] = set()
        self.missing: set[str] = set()
        self.split = _Split()

    def peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def next(self) -> str:
        char = self.source[self.at : self.at + 1]
        self.at += 1 if char else 0
        return char

    def whole(self) -> str:
        try:
            return self.until(END, self.keep_escapes)
        except ExpansionError as error:
            raise ExpansionError(f"failed to process {quote(self.source)}: {error}") from None

    def until(self, stop: str, keep_escapes: bool) -> str:
        """The expanded text up to `stop`, which is passed over, or to the end."""
        outer_keep, self.keep_escapes = self.keep_escapes, keep_escapes
        outer_split, self.split = self.split, _Split()
        # The peer has one buffer for the words of all levels: text before `${x:-…}` in the same word is lost
        # to it when words are split, and only then.
        outer_split.part = ""
        try:
            return self._until(stop)
        finally:
            if stop:
                self.split = outer_split
            self.keep_escapes = outer_keep

    def _until(self, stop: str) -> str:
        out: list[str] = []
        rules, split = self.rules, self.split
        while char := self.peek():
            if stop and char == stop:
                self.at += 1
                return "".join(out)
            if char == "$":
                value = self.dollar()
                out.append(value)
                split.add(value)
            elif char == "<":
                value = self.angle()
                out.append(value)
                split.raw(value)
            elif char in "'\"" and not rules.no_quotes:
                value = self.single() if char == "'" else self.double()
                out.append(value)
                split.raw(value)
            elif char == rules.escape:
                self.at += 1
                if self.keep_escapes:
                    split.raw(char)
                    out.append(char)
                if not (char := self.next()):
                    break
                split.raw(char)
                out.append(char)
            else:
                plain = None if stop else _PLAIN.match(self.source, self.at)
                text = plain[0] if plain else char
                self.at += len(text)
                split.add(text)
                out.append(text)
        if stop:
            raise ExpansionError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(out)

    def angle(self) -> str:
        """`<`, or `<<` with the blanks that may stand before a heredoc's name."""
        self.at += 1
        if self.peek() != "<":
            return "<"
        start = self.at
        self.at += 1
        while self.peek() and self.peek() in "\t\r ":
            self.at += 1
        return "<" + self.source[start : self.at]

    def single(self) -> str:
        end = self.source.find("'", self.at + 1)
        if end < 0:
            self.at = len(self.source)
            raise ExpansionError("unexpected end of statement while looking for matching single-quote")
        inner = self.source[self.at + 1 : end]
        self.at = end + 1
        return f"'{inner}'" if self.rules.keep_quotes else inner

    def double(self) -> str:
        quotes = '"' if self.rules.keep_quotes else ""
        escape = self.rules.escape
        out = [quotes]
        self.at += 1
        while char := self.peek():
            if char == '"':
                self.at += 1
                return "".join(out) + quotes
            if char == "$":
                out.append(self.dollar())
                continue
            self.at += 1
            if char == escape:
                if self.keep_escapes:
                    out.append(char)
                following = self.peek()
                if not following:
                    break
                if following in ('"', "$", escape):
                    char = self.next()
            out.append(char)
        raise ExpansionError("unexpected end of statement while looking for matching double-quote")

    def dollar(self) -> str:
        self.at += 1
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            value = self.value(name)
            return "$" + name if value is None and self.rules.keep_unset else value or ""
        self.at += 1
        if not (char := self.peek()):
            raise ExpansionError("syntax error: missing '}'")
        if char in "{}:":
            raise ExpansionError("syntax error: bad substitution")
        return self.braces(self.name())

    def braces(self, name: str) -> str:
        """What stands after the name in `${name…}`."""
        char = self.next()
        if char == "}":
            value = self.value(name)
            return "${" + name + "}" if value is None and self.rules.keep_unset else value or ""
        if char == "/":
            return self.replaced(name)
        if char == ":":
            char = self.next()
            return self.modified(name, char, ":" + (char or _UNKNOWN), empty_is_unset=True)
        if char and char in "+-?#%":
            return self.modified(name, char, char, empty_is_unset=False)
        raise ExpansionError(f"unsupported modifier ({char or _UNKNOWN}) in substitution")

    def modified(self, name: str, char: str, written: str, *, empty_is_unset: bool) -> str:
        pattern = char in ("#", "%")
        if pattern and empty_is_unset:
            raise ExpansionError(f"unsupported modifier ({written}) in substitution")
        word = self.inside("}", pattern, "syntax error: missing '}'")
        value = self.value(name)
        if value is None and self.rules.keep_unset:
            return "${" + name + written + word + "}"
        unset = value is None or (empty_is_unset and not value)
        if char == "-":
            return word if unset else value or ""
        if char == "+":
            return "" if unset else word
        if char == "?":
            if unset:
                state = "unset" if value is None else "empty"
                raise ExpansionError(f"{name}: {word or f'is not allowed to be {state}'}")
            return value or ""
        if pattern:
            greedy = word.startswith(char)
            return _trimmed(word[1:] if greedy else word, value or "", char, greedy)
        raise ExpansionError(f"unsupported modifier ({written}) in substitution")

    def replaced(self, name: str) -> str:
        every = self.peek() == "/"
        self.at += every
        pattern = self.inside("/", True, "syntax error: missing '/' in ${}")
        replacement = self.inside("}", True, "syntax error: missing '}'")
        value = self.value(name)
        if value is None and self.rules.keep_unset:
            return "${" + name + "/" + pattern + "/" + replacement + "}"
        found = _pattern(pattern, greedy=True)
        if every:
            return _replace_all(found, replacement, value or "")
        return found.sub(lambda _: replacement, value or "", count=1)

    def inside(self, stop: str, keep_escapes: bool, unfinished: str) -> str:
        try:
            return self.until(stop, keep_escapes)
        except ExpansionError:
            if not self.peek():
                raise ExpansionError(unfinished) from None
            raise

    def name(self) -> str:
        """A name; digits alone; or one of a shell's special parameters."""
        start = self.at
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.at += 1
        elif first and first in _SPECIAL:
            self.at += 1
        else:
            while (char := self.peek()) and (char == "_" or char.isalpha() or char.isdecimal()):
                self.at += 1
        return self.source[start : self.at]

    def value(self, name: str) -> str | None:
        value = self.variables.get(name)
        (self.missing if value is None else self.found).add(name)
        return value


def _pattern(text: str, *, greedy: bool) -> re.Pattern[str]:
    """A shell pattern of `*`, `?` and escapes as a regular expression.

    Raises:
        ExpansionError: for an escape of anything else.
    """
    out = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            out.append(".*" if greedy else ".*?")
        elif char == "?":
            out.append(".")
        elif char != "\\":
            out.append(re.escape(char))
        elif text[at : at + 1] not in ("}", "/"):
            following = text[at : at + 1]
            if following not in ("*", "?", "\\"):
                raise ExpansionError(
                    f"invalid pattern ({text}) in substitution: invalid escape '\\{following or _UNKNOWN}'"
                )
            out.append("\\" + following)
            at += 1
    return re.compile("".join(out))


def _trimmed(pattern: str, value: str, side: str, greedy: bool) -> str:
    if side == "#":
        match = _pattern(pattern, greedy=greedy).match(value)
        return value[match.end() :] if match else value
    # The shortest match at the right end is the shortest at the left of the mirrored text.
    match = _pattern(_mirrored(pattern), greedy=greedy).match(value[::-1])
    return value[::-1][match.end() :][::-1] if match else value


def _mirrored(pattern: str) -> str:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join(reversed(parts))


def _replace_all(pattern: re.Pattern[str], replacement: str, value: str) -> str:
    """Every match replaced as Go does it: no empty match right behind another, `$1` in the replacement is a group."""
    out: list[str] = []
    kept = at = 0
    after = -1
    while at <= len(value) and (match := pattern.search(value, at)):
        start, end = match.span()
        if start == end == after:
            at += 1
            continue
        out += [value[kept:start], _template(replacement, match[0])]
        kept = after = end
        at = end if end > start else end + 1
    return "".join(out) + value[kept:]


def _template(text: str, whole: str) -> str:
    if "$" not in text:
        return text

    def group(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return "$" if name is None else whole if name == "0" else ""

    return _TEMPLATE.sub(group, text)


NOTHING: Mapping[str, str] = {}
"""No variables at all."""

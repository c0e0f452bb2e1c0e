"""RE2 patterns (https://github.com/google/re2/wiki/Syntax) in the syntax of the `regex` library.

Each construct is read and written anew, so that what RE2 does not have (back references, looking around, conditionals)
is refused, and what means something else there (`$`, `\\d`, `\\s`, classes) comes out as RE2 means it.
"""

from __future__ import annotations

import re
from typing import Final


class Re2Error(ValueError):
    """A pattern that RE2 would refuse."""


MAX_REPEAT: Final = 1000
MAX_GROUPS: Final = 1000
MAX_LENGTH: Final = 100_000

Ranges = tuple[tuple[int, int], ...]
"""Code points from … through …, in order."""


def _ranges(text: str) -> Ranges:
    """`"09AZ"` to the ranges 0 to 9 and A to Z."""
    return tuple((ord(text[at]), ord(text[at + 1])) for at in range(0, len(text), 2))


_WORD: Final = _ranges("09AZ__az")

_PERL: Final = {"d": _ranges("09"), "w": _WORD, "s": _ranges("\t\n\f\r  ")}

_POSIX: Final = {
    "alnum": _ranges("09AZaz"),
    "alpha": _ranges("AZaz"),
    "ascii": _ranges("\0\x7f"),
    "blank": _ranges("\t\t  "),
    "cntrl": _ranges("\0\x1f\x7f\x7f"),
    "digit": _ranges("09"),
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/:@[`{~"),
    "space": _ranges("\t\r  "),
    "upper": _ranges("AZ"),
    "word": _WORD,
    "xdigit": _ranges("09AFaf"),
}

_CONTROL: Final = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}

_RANGE = re.compile(r"-[^\]]", re.DOTALL)
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w+):\]", re.ASCII)
_REPEAT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}", re.ASCII)
_NAMED_GROUP = re.compile(r"\(\?P?<([A-Za-z_]\w*)>", re.ASCII)
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_PROPERTY = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|([A-Z]))", re.ASCII)
_HEX = re.compile(r"\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})")
_OCTAL = re.compile(r"\\(0[0-7]{0,2}|[1-7][0-7]{1,2})")


def translate(pattern: str) -> str:
    """The pattern for the `regex` library. Raises Re2Error."""
    if len(pattern) > MAX_LENGTH:
        raise Re2Error(f"pattern of more than {MAX_LENGTH} characters")
    return _Translator(pattern).translate()


class _Translator:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.made: list[str] = []
        self.groups = 0
        self.flags = frozenset[str]()  # of the group we are in: i, m, s, U
        self.outer: list[frozenset[str]] = []
        self.names: set[str] = set()
        self.repeatable = False
        self.copies = [1]  # of what stands deepest in each open group: how often counted repeats would write it out
        self.atom_copies = 1  # the same of the last atom

    def translate(self) -> str:
        while self.at < len(self.pattern):
            self._piece()
        if self.outer:
            raise Re2Error(f"missing closing ): {self.pattern}")
        return "".join(self.made)

    def _emit(self, text: str, length: int, *, repeatable: bool = True) -> None:
        self.made.append(text)
        self.at += length
        self.repeatable = repeatable
        self.atom_copies = 1

    def _piece(self) -> None:
        sign = self.pattern[self.at]
        match sign:
            case "\\":
                self._escape()
            case "[":
                self._class()
            case "(":
                self._group()
            case ")":
                if not self.outer:
                    raise Re2Error(f"unexpected ): {self.pattern}")
                self.flags = self.outer.pop()
                self._emit(")", 1)
                self.atom_copies = self.copies.pop()
                self.copies[-1] = max(self.copies[-1], self.atom_copies)
            case "*" | "+" | "?":
                self._repeat(sign, sign)
            case "{":
                self._counted()
            case ".":
                self._emit(r"(?s:.)" if "s" in self.flags else r"[^\n]", 1)
            case "^":
                self._emit(r"(?m:^)" if "m" in self.flags else r"\A", 1)
            case "$":
                self._emit(r"(?=\n|\Z)" if "m" in self.flags else r"\Z", 1)
            case "|":
                self._emit("|", 1, repeatable=False)
            case _:
                self._atom(_literal(sign), 1)

    def _atom(self, text: str, length: int) -> None:
        """A character or class, for which upper and lower case may be the same."""
        self._emit(f"(?i:{text})" if "i" in self.flags else text, length)

    def _repeat(self, operator: str, written: str) -> None:
        if not self.repeatable:
            raise Re2Error(f"missing argument to repetition operator: {written}")
        length = len(written)
        lazy = self.pattern.startswith("?", self.at + length)
        if "U" in self.flags:
            made = operator + ("" if lazy else "?")
        else:
            made = operator + ("?" if lazy else "")
        following = self.pattern[self.at + length + lazy : self.at + length + lazy + 1]
        if following and following in "*+?":
            raise Re2Error(f"invalid nested repetition operator: {written}{'?' if lazy else ''}{following}")
        self._emit(made, length + lazy, repeatable=False)

    def _counted(self) -> None:
        found = _REPEAT.match(self.pattern, self.at)
        if found is None:
            self._emit(r"\{", 1)
            return
        least, comma, most = found.groups()
        if max(int(least), int(most or 0)) > MAX_REPEAT or (most and int(most) < int(least)):
            raise Re2Error(f"invalid repeat count: {found[0]}")
        copies = self.atom_copies * (int(most or least) or 1)
        if copies > MAX_REPEAT:  # repeats of repeats count together, as in RE2, which writes them out
            raise Re2Error(f"invalid repeat count: {found[0]}")
        self.copies[-1] = max(self.copies[-1], copies)
        self._repeat(f"{{{least}{comma or ''}{most or ''}}}", found[0])

    def _group(self) -> None:
        text = self.pattern
        if not text.startswith("(?", self.at):
            self._open("(", 1)
            return
        named = _NAMED_GROUP.match(text, self.at)
        if named:
            if named[1] in self.names:
                raise Re2Error(f"duplicate capture group name: {named[1]}")
            self.names.add(named[1])
            self._open(f"(?P<{named[1]}>", len(named[0]))
            return
        flags = _FLAGS.match(text, self.at)
        if flags is None:
            raise Re2Error(f"invalid or unsupported Perl syntax: {text[self.at : self.at + 4]}")
        if flags[3] == ":":
            self.outer.append(self.flags)
            self.copies.append(1)
        self.flags = (self.flags | set(flags[1])) - set(flags[2] or "")
        self._emit("(?:" if flags[3] == ":" else "", len(flags[0]), repeatable=False)

    def _open(self, made: str, length: int) -> None:
        self.groups += 1
        if self.groups > MAX_GROUPS:
            raise Re2Error(f"more than {MAX_GROUPS} groups")
        self.outer.append(self.flags)
        self.copies.append(1)
        self._emit(made, length, repeatable=False)

    def _escape(self) -> None:
        text, at = self.pattern, self.at
        if at + 1 >= len(text):
            raise Re2Error("trailing backslash at end of expression: ")
        sign = text[at + 1]
        if sign == "Q":
            end = text.find("\\E", at + 2)
            literal = text[at + 2 : end if end >= 0 else len(text)]
            for character in literal:
                self._atom(_literal(character), 0)
            self.at = end + 2 if end >= 0 else len(text)
        elif sign in "bB":
            # a word, to RE2, is ASCII
            edge = r"(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))"
            inner = r"(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))"
            self._emit(edge if sign == "b" else inner, 2)
        elif sign == "A":
            self._emit(r"\A", 2)
        elif sign == "z":
            self._emit(r"\Z", 2)
        elif sign in "dwsDWS":
            self._emit(f"[{_members(_PERL[sign.lower()], negated=sign.isupper())}]", 2)
        else:
            made, length, _ = self._character()
            self._atom(made, length)

    def _character(self) -> tuple[str, int, int | None]:
        """An escape for a character or property, in or out of a class: translated, its length, its code point."""
        text, at = self.pattern, self.at
        found = _PROPERTY.match(text, at)
        if found:
            negated = (found[1] == "P") != (found[2] == "^")
            return f"\\{'P' if negated else 'p'}{{{found[3] or found[4]}}}", len(found[0]), None
        found = _HEX.match(text, at)
        if found:
            return self._code(int(found[1] or found[2], 16), found[0])
        found = _OCTAL.match(text, at)
        if found:
            return self._code(int(found[1], 8), found[0])
        sign = text[at + 1 : at + 2]
        if sign in _CONTROL and sign:
            return self._code(_CONTROL[sign], text[at : at + 2])
        if not sign or sign.isalnum() or not sign.isascii():
            raise Re2Error(f"invalid escape sequence: \\{sign}")
        return _literal(sign), 2, ord(sign)

    def _code(self, code: int, written: str) -> tuple[str, int, int | None]:
        if code > 0x10FFFF:
            raise Re2Error(f"invalid escape sequence: {written}")
        return _literal(chr(code)), len(written), code

    def _class(self) -> None:
        start = self.at
        self.at += 1
        negated = self.pattern.startswith("^", self.at)
        self.at += negated
        members: list[str] = []
        first = True
        while first or not self.pattern.startswith("]", self.at):
            if self.at >= len(self.pattern):
                raise Re2Error(f"missing closing ]: {self.pattern[start:]}")
            members.append(self._class_member())
            first = False
        self._atom(f"[{'^' if negated else ''}{''.join(members)}]", 1)

    def _class_member(self) -> str:
        text, at = self.pattern, self.at
        posix = _POSIX_CLASS.match(text, at)
        if posix:
            if posix[2] not in _POSIX:
                raise Re2Error(f"invalid character class range: {posix[0]}")
            self.at += len(posix[0])
            return _members(_POSIX[posix[2]], negated=bool(posix[1]))
        if text[at] == "\\" and text[at + 1 : at + 2] in ("d", "w", "s", "D", "W", "S"):
            self.at += 2
            return _members(_PERL[text[at + 1].lower()], negated=text[at + 1].isupper())
        low, code = self._class_character()
        if code is None or not _RANGE.match(text, self.at):
            return low
        self.at += 1
        high, high_code = self._class_character()
        if high_code is None or high_code < code:
            raise Re2Error(f"invalid character class range: {text[at : self.at]}")
        return f"{low}-{high}"

    def _class_character(self) -> tuple[str, int | None]:
        if self.at >= len(self.pattern):
            raise Re2Error(f"missing closing ]: {self.pattern}")
        sign = self.pattern[self.at]
        if sign == "\\":
            made, length, code = self._character()
            self.at += length
            return made, code
        self.at += 1
        return _literal(sign), ord(sign)


def _literal(sign: str) -> str:
    """A character that means itself, in or out of a class."""
    if sign.isalnum() or not sign.isascii():
        return sign
    return f"\\x{ord(sign):02x}"


def _members(ranges: Ranges, *, negated: bool) -> str:
    """Ranges, or what is between them, as members of a class."""
    if negated:
        bounds = [-1, *(bound for pair in ranges for bound in pair), 0x110000]
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        ranges = tuple((low + 1, high - 1) for low, high in pairs if low + 1 < high)
    return "".join(f"{_literal(chr(low))}-{_literal(chr(high))}" for low, high in ranges)

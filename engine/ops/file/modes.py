"""Modes as COPY --chmod takes them: octal, or symbolic as chmod(1) of BSD, with a umask of 0."""

from __future__ import annotations

import stat
from collections.abc import Callable

from engine.errors import StepError
from engine.values import frozen

_STICKY, _GROUP_ID, _USER_ID = 0o1000, 0o2000, 0o4000
_WHO = {"u": _USER_ID | 0o700, "g": _GROUP_ID | 0o070, "o": 0o007, "a": 0o6777}
_PERMISSION = {"r": 0o444, "w": 0o222, "x": 0o111}
_SHIFT = {"u": 6, "g": 3, "o": 0}
_EVERYBODY = 0o6777

Change = Callable[[int, int], int]
"""Takes the mode so far, and `st_mode` as it was at first; returns the permission bits."""


@frozen
class Mode:
    """What is to become of a mode."""

    changes: tuple[Change, ...]

    def apply(self, mode: int) -> int:
        """The permission bits (07777) for something with this `st_mode`."""
        bits = stat.S_IMODE(mode)
        for change in self.changes:
            bits = change(bits, mode)
        return bits


KEEP_MODE = Mode(())


def octal(value: int) -> Mode:
    """Just this mode."""
    bits = value & 0o7777
    return Mode((lambda _now, _first: bits,))


def symbolic(text: str) -> Mode:
    """Such as `u+x,g-w,o=` or `a=rX`. Raises StepError for what is none."""
    if text[:1].isdigit():
        try:
            return octal(int(text, 8))
        except ValueError:
            raise _invalid(text) from None
    changes: list[Change] = []
    for clause in text.split(","):
        start = len(clause) - len(clause.lstrip("ugoa"))
        who = 0
        for letter in clause[:start]:
            who |= _WHO[letter]
        rest = clause[start:]
        if not rest:
            raise _invalid(text)
        while rest:
            operator, rest = rest[0], rest[1:]
            end = len(rest) - len(rest.lstrip("rwxXstugo"))
            if operator not in "+-=":
                raise _invalid(text)
            changes += _operation(operator, who, rest[:end])
            rest = rest[end:]
    return Mode(tuple(changes))


def _operation(operator: str, who: int, letters: str) -> list[Change]:
    bits, if_executable, copies = 0, 0, []
    for letter in letters:
        if letter in _PERMISSION:
            bits |= _PERMISSION[letter]
        elif letter == "X" and operator == "-":
            bits |= 0o111
        elif letter == "X":
            if_executable = 0o111
        elif letter in "ugo":
            copies.append(letter)
        elif not who or who & ~0o7:  # set-id and sticky mean nothing for others alone
            bits |= _STICKY if letter == "t" else _USER_ID | _GROUP_ID
    reach = who or _EVERYBODY
    given = bits & (reach | (bits & _STICKY))
    changes: list[Change] = []
    if operator == "=":
        cleared = reach | (bits & _STICKY)
        if not copies or bits:
            changes.append(lambda now, _first: now & ~cleared)
        changes.append(lambda now, _first: now | given)
    elif operator == "+":
        changes.append(lambda now, _first: now | given)
    else:
        changes.append(lambda now, _first: now & ~given)
    if if_executable:
        executable = if_executable & reach
        changes.append(lambda now, first: now | executable if first & 0o111 or stat.S_ISDIR(first) else now)
    changes += [_copying(operator, letter, reach) for letter in copies]
    return changes


def _copying(operator: str, letter: str, reach: int) -> Change:
    """`g=u`: the permissions that another has."""
    targets = [shift for shift in _SHIFT.values() if reach & 0o4 << shift]

    def change(now: int, _first: int) -> int:
        value = now >> _SHIFT[letter] & 0o7
        for shift in targets:
            if operator == "=":
                now &= ~(0o7 << shift)
            now = now & ~(value << shift) if operator == "-" else now | value << shift
        return now

    return change


def _invalid(text: str) -> StepError:
    return StepError(f"invalid mode {text!r}", hint="write octal (0755) or symbolic (u+x,go-w) modes")

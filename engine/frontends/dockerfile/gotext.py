"""How Go writes and reads small values: error texts and image histories of the peer hold its forms."""

from __future__ import annotations

import re
from collections.abc import Iterable

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's `unicode.IsSpace` takes for space. Python's `str.strip()` also takes \\x1c to \\x1f: give it this."""

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_DURATION = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]+)")
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_INT64 = 1 << 63
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INTEGER = re.compile(r"[+-]?[0-9]+")


def quote(text: str) -> str:
    """Go's `%q`."""
    out = []
    for char in text:
        if char in ('"', "\\"):
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char == " " or char.isprintable():
            out.append(char)
        elif ord(char) < 0x80:
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
    return '"' + "".join(out) + '"'


def quote_list(items: Iterable[str]) -> str:
    """Go's `%q` of a slice."""
    return "[" + " ".join(map(quote, items)) + "]"


def value_list(items: Iterable[str]) -> str:
    """Go's `%v` of a slice."""
    return "[" + " ".join(items) + "]"


def parse_bool(text: str) -> bool | None:
    """Go's `strconv.ParseBool`; None for anything else."""
    return True if text in _TRUE else False if text in _FALSE else None


def parse_int(text: str, bits: int = 64) -> int:
    """Go's `strconv.ParseInt(text, 10, bits)`.

    Raises:
        ValueError: with Go's message.
    """
    if not _INTEGER.fullmatch(text) or len(text) > 400:
        reason = "value out of range" if _INTEGER.fullmatch(text) else "invalid syntax"
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: {reason}")
    value = int(text)
    limit = 1 << (bits - 1)
    if not -limit <= value < limit:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def parse_uint(text: str, base: int, bits: int) -> int | None:
    """Go's `strconv.ParseUint` with an explicit base; None if it fails."""
    digits = "01234567" if base == 8 else "0123456789"
    if not text or len(text) > 400 or any(char not in digits for char in text):
        return None
    value = int(text, base)
    return value if value < 1 << bits else None


def parse_duration(text: str) -> int:
    """Go's `time.ParseDuration`, in nanoseconds.

    Raises:
        ValueError: with Go's message.
    """
    rest, negative = text, False
    if rest[:1] in ("-", "+"):
        negative, rest = rest[0] == "-", rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quote(text)}")
    total = 0
    while rest:
        part = _DURATION.match(rest)
        if rest[0] not in ".0123456789":
            raise ValueError(f"time: invalid duration {quote(text)}")
        if part is None:
            whole = re.match(r"[0-9]*(\.[0-9]*)?", rest)
            bare = whole is not None and (whole[0] == "." or whole.end() != len(rest))
            raise ValueError(
                f"time: invalid duration {quote(text)}" if bare else f"time: missing unit in duration {quote(text)}"
            )
        digits, fraction, unit = part[1], part[2] or "", part[3]
        if not digits and not fraction:
            raise ValueError(f"time: invalid duration {quote(text)}")
        if unit not in _UNITS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        scale = _UNITS[unit]
        total += int((digits or "0")[:40]) * scale
        if fraction:
            total += int(fraction[:18]) * scale // 10 ** len(fraction[:18])
        if total > _INT64:
            raise ValueError(f"time: invalid duration {quote(text)}")
        rest = rest[part.end() :]
    if total == _INT64 and not negative:
        raise ValueError(f"time: invalid duration {quote(text)}")
    return -total if negative else total


def format_duration(nanoseconds: int) -> str:
    """Go's `time.Duration.String`: `1m30s`, `1.5ms`, `0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, value = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if value < 1_000_000_000:
        for unit, scale in (("ms", 1_000_000), ("\u00b5s", 1_000), ("ns", 1)):
            if value >= scale:
                return f"{sign}{_decimal(value, scale)}{unit}"
    minutes, rest = divmod(value, 60_000_000_000)
    seconds = f"{_decimal(rest, 1_000_000_000)}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(scale)) - 1).rstrip('0')}"


def csv_fields(line: str) -> list[str]:
    """The fields of one CSV line.

    Raises:
        ValueError: with the message of Go's csv package.
    """
    if line.endswith("\n"):
        line = line[:-2] if line.endswith("\r\n") else line[:-1]
    if not line:
        raise ValueError("EOF")
    out: list[str] = []
    at = 0
    while True:
        if line[at : at + 1] != '"':
            end = line.find(",", at)
            field = line[at:] if end < 0 else line[at:end]
            if '"' in field:
                raise _csv_error(line, at + field.index('"'), 'bare " in non-quoted-field')
            out.append(field)
            if end < 0:
                return out
            at = end + 1
            continue
        field, at = _quoted_field(line, at + 1)
        out.append(field)
        if at == len(line):
            return out
        at += 1


def _quoted_field(line: str, at: int) -> tuple[str, int]:
    field = ""
    while True:
        end = line.find('"', at)
        if end < 0:
            raise _csv_error(line, at, 'extraneous or missing " in quoted-field')
        field += line[at:end]
        at = end + 1
        if line[at : at + 1] == '"':
            field += '"'
            at += 1
        elif at == len(line) or line[at] == ",":
            return field, at
        else:
            raise _csv_error(line, at - 1, 'extraneous or missing " in quoted-field')


def _csv_error(line: str, at: int, reason: str) -> ValueError:
    return ValueError(f"parse error on line 1, column {len(line[:at].encode()) + 1}: {reason}")


def distance(one: str, other: str) -> int:
    """The Levenshtein distance."""
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, 1):
        before, row[0] = row[0], at
        for col, known in enumerate(other, 1):
            before, row[col] = row[col], min(row[col] + 1, row[col - 1] + 1, before + (char != known))
    return row[-1]


def suggestion(word: str, options: Iterable[str], *, fold: bool = False) -> str:
    """The option that was probably meant: at most two edits away, and none is the word itself; empty if there is none.

    With `fold` case does not count, and the answer is written in upper case where the word is.
    """
    wanted, best, nearest = word.lower() if fold else word, "", 3
    for option in options:
        known = option.lower() if fold else option
        if known == wanted:
            return ""
        if abs(len(known) - len(wanted)) < nearest and (edits := distance(wanted, known)) < nearest:
            best, nearest = known, edits
    return best.upper() if fold and word == word.upper() != word.lower() else best


def meant(message: str, word: str, options: Iterable[str], *, fold: bool = False) -> str:
    """A message, with what was probably meant."""
    found = suggestion(word, options, fold=fold)
    return f"{message} (did you mean {found}?)" if found else message

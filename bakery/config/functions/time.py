"""Timestamps in RFC 3339, durations, and Unix time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final

from bakery.config.functions.date_format import format_date
from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer
from bakery.config.types import ANY, NUMBER, STRING
from bakery.config.values import Value, number, object_of, string

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:(Z)|([+-])(\d\d):(\d\d))\Z", re.ASCII)


def parse_timestamp(text: str) -> datetime:
    """The moment that RFC 3339 text names. Raises ValueError with a reason."""
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(f"not a valid RFC3339 timestamp: {_syntax_problem(text)}")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction = int((match[7] or "")[:6].ljust(6, "0"))
    offset = timedelta() if match[8] else timedelta(hours=int(match[10]), minutes=int(match[11]))
    zone = UTC if not offset else timezone(-offset if match[9] == "-" else offset)
    try:
        return datetime(year, month, day, hour, minute, second, fraction, zone)
    except ValueError as problem:
        raise ValueError(f"not a valid RFC3339 timestamp: {problem}") from None


_SEGMENTS: Final = (
    (r"\d{4}", "year"),
    ("-", ""),
    (r"\d\d", "month"),
    ("-", ""),
    (r"\d\d", "day of month"),
    ("T", ""),
    (r"\d\d", "hour"),
    (":", ""),
    (r"\d\d", "minute"),
    (":", ""),
    (r"\d\d(?:\.\d+)?", "second"),
    (r"Z|[+-]\d\d:\d\d", "UTC offset"),
)


def _syntax_problem(text: str) -> str:
    """Which part of a timestamp is missing or wrong."""
    at = 0
    for pattern, what in _SEGMENTS:
        match = re.compile(pattern, re.ASCII).match(text, at)
        if match is None:
            rest = text[at:]
            if pattern == "T":
                return "missing required time introducer 'T'"
            if not what:
                return (
                    f'found "{rest}" where "{pattern}" is expected'
                    if rest
                    else (f'end of string where "{pattern}" is expected')
                )
            return f'cannot use "{rest}" as {what}' if rest else f"end of string before {what}"
        at = match.end()
    return f'extra text "{text[at:]}" after the timestamp'


def to_rfc3339(moment: datetime) -> str:
    """A moment to the second, with `Z` for UTC."""
    return format_date("YYYY-MM-DD'T'hh:mm:ssZ", moment)


@_define()
def timestamp(args: Sequence[Value]) -> Value:
    """Now."""
    return string(to_rfc3339(datetime.now(UTC)))


_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]+|\Z)", re.ASCII)

_UNITS: Final = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}

_MAX_SECONDS: Final = Fraction(1 << 63, 10**9)


def parse_duration(text: str) -> timedelta:
    """A duration such as `1h30m` or `-1.5s`, as Go reads it. Raises ValueError with a reason."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return timedelta()
    seconds, at = Fraction(0), 0
    while at < len(rest):
        match = _DURATION_PART.match(rest, at)
        if match is None or len(match[1]) > 40:
            raise ValueError(f'time: invalid duration "{text}"')
        if not match[2]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if match[2] not in _UNITS:
            raise ValueError(f'time: unknown unit "{match[2]}" in duration "{text}"')
        seconds += Fraction(match[1].removesuffix(".")) * _UNITS[match[2]]
        at = match.end()
    if not rest or seconds >= _MAX_SECONDS:
        raise ValueError(f'time: invalid duration "{text}"')
    return timedelta(microseconds=int(seconds * 10**6) * (-1 if text[0] == "-" else 1))


@_define(Parameter("timestamp", STRING), Parameter("duration", STRING))
def timeadd(args: Sequence[Value]) -> Value:
    """A timestamp moved by a duration."""
    try:
        moment = parse_timestamp(args[0].raw) + parse_duration(args[1].raw)
    except ValueError as problem:
        raise FunctionError(str(problem)) from None
    except OverflowError:
        raise FunctionError("the year of the result is not between 1 and 9999") from None
    return string(to_rfc3339(moment))


def _timestamp(args: Sequence[Value], index: int) -> datetime:
    try:
        return parse_timestamp(args[index].raw)
    except ValueError as problem:
        raise ArgumentError(index, str(problem)) from None


def _formatted(args: Sequence[Value], moment: datetime) -> Value:
    try:
        return string(format_date(args[0].raw, moment))
    except ValueError as problem:
        raise ArgumentError(0, str(problem)) from None


@_define(Parameter("format", STRING), Parameter("time", STRING))
def formatdate(args: Sequence[Value]) -> Value:
    """A timestamp in another form."""
    return _formatted(args, _timestamp(args, 1))


@_define(Parameter("format", STRING), Parameter("time", ANY))
def formattimestamp(args: Sequence[Value]) -> Value:
    """A timestamp or Unix time in another form; the form `X` is Unix time in seconds."""
    if args[1].type == STRING:
        moment = _timestamp(args, 1)
    elif args[1].type == NUMBER:
        moment = _from_unix(args, 1)
    else:
        raise ArgumentError(1, "must be a string timestamp or a unix timestamp number")
    if args[0].raw == "X":
        return string(str((moment - _EPOCH) // timedelta(seconds=1)))
    return _formatted(args, moment)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _from_unix(args: Sequence[Value], index: int) -> datetime:
    seconds = args[index].raw
    if not isinstance(seconds, int):
        raise ArgumentError(index, "unix timestamp must be an integer")
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise ArgumentError(index, "the year of the time is not between 1 and 9999") from None


@_define(Parameter("unix_timestamp", NUMBER))
def unixtimestampparse(args: Sequence[Value]) -> Value:
    """The parts of a Unix time, in UTC; Sunday is weekday 0."""
    moment = _from_unix(args, 0)
    iso = moment.isocalendar()
    parts = {
        "year": moment.year,
        "year_day": moment.timetuple().tm_yday,
        "day": moment.day,
        "month": moment.month,
        "weekday": moment.isoweekday() % 7,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "iso_year": iso.year,
        "iso_week": iso.week,
    }
    names = {
        "month_name": format_date("MMMM", moment),
        "weekday_name": format_date("EEEE", moment),
        "rfc3339": to_rfc3339(moment),
    }
    return object_of(
        {key: number(part) for key, part in parts.items()} | {key: string(name) for key, name in names.items()}
    )

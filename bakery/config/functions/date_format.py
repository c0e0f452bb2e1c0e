"""The format language of `formatdate`: `YYYY-MM-DD'T'hh:mm:ssZ`, with literal text in single quotes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

_TOKEN = re.compile(r"''|'(?:''|[^'])*(?:'|\Z)|([A-Za-z])\1*|[^A-Za-z']+", re.ASCII)

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def format_date(form: str, moment: datetime) -> str:
    """A moment in a form. Raises ValueError for a verb that does not exist."""
    made = []
    for match in _TOKEN.finditer(form):
        token = match[0]
        if token[0] == "'":
            made.append(_quoted(token))
        elif match[1] is None:
            made.append(token)
        else:
            made.append(_verb(token, moment))
    return "".join(made)


def _quoted(token: str) -> str:
    if len(token) == 1 or not token.endswith("'"):
        raise ValueError("unterminated literal '")
    return "'" if token == "''" else token[1:-1].replace("''", "'")


def _verb(token: str, moment: datetime) -> str:
    forms, rule = _VERBS.get(token[0], ({}, ""))
    form = forms.get(len(token))
    if form is None:
        raise ValueError(f'invalid date format verb "{token}"' + (f": {rule}" if rule else ""))
    return form(moment)


def _offset(moment: datetime, separator: str) -> str:
    text = moment.strftime("%z")
    return f"{text[:3]}{separator}{text[3:5]}"


def _zulu(moment: datetime) -> str:
    return _offset(moment, ":") if moment.utcoffset() else "Z"


def _hour12(moment: datetime) -> int:
    return moment.hour % 12 or 12


Form = Callable[[datetime], str]

_VERBS: Final[dict[str, tuple[dict[int, Form], str]]] = {
    "Y": (
        {2: lambda moment: f"{moment.year % 100:02d}", 4: lambda moment: f"{moment.year:04d}"},
        'year must either be "YY" or "YYYY"',
    ),
    "M": (
        {
            1: lambda moment: f"{moment.month}",
            2: lambda moment: f"{moment.month:02d}",
            3: lambda moment: _MONTHS[moment.month - 1][:3],
            4: lambda moment: _MONTHS[moment.month - 1],
        },
        'month must be "M", "MM", "MMM", or "MMMM"',
    ),
    "D": (
        {1: lambda moment: f"{moment.day}", 2: lambda moment: f"{moment.day:02d}"},
        'day of month must either be "D" or "DD"',
    ),
    "E": (
        {3: lambda moment: _DAYS[moment.weekday()][:3], 4: lambda moment: _DAYS[moment.weekday()]},
        'day of week must either be "EEE" or "EEEE"',
    ),
    "h": (
        {1: lambda moment: f"{moment.hour}", 2: lambda moment: f"{moment.hour:02d}"},
        '24-hour must either be "h" or "hh"',
    ),
    "H": (
        {1: lambda moment: f"{_hour12(moment)}", 2: lambda moment: f"{_hour12(moment):02d}"},
        '12-hour must either be "H" or "HH"',
    ),
    "A": ({2: lambda moment: "AM" if moment.hour < 12 else "PM"}, 'must be "AA"'),
    "a": ({2: lambda moment: "am" if moment.hour < 12 else "pm"}, 'must be "aa"'),
    "m": (
        {1: lambda moment: f"{moment.minute}", 2: lambda moment: f"{moment.minute:02d}"},
        'minute must either be "m" or "mm"',
    ),
    "s": (
        {1: lambda moment: f"{moment.second}", 2: lambda moment: f"{moment.second:02d}"},
        'second must either be "s" or "ss"',
    ),
    "Z": (
        {
            1: _zulu,
            3: lambda moment: _offset(moment, "") if moment.utcoffset() else "UTC",
            4: lambda moment: _offset(moment, ""),
            5: lambda moment: _offset(moment, ":"),
        },
        "timezone must be Z, ZZZZ, or ZZZZZ",
    ),
}
"""What each letter means, by how often it is repeated, and the rule to tell who repeats it otherwise."""

"""Times as Go writes them in JSON: RFC 3339 with as many digits of a second as are needed."""

from __future__ import annotations

import calendar
import re
import time

_FORM = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|([+-])(\d\d):(\d\d))")


def format_time(seconds: float) -> str:
    """A time in seconds since the epoch, to the microsecond."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + fraction + "Z"


def normal_time(text: str) -> str:
    """A time as Go would write it after reading it. Raises ValueError."""
    match = _match(text)
    fraction = (match[7] or "").rstrip("0")
    zone = "Z" if match[8] in ("Z", "+00:00", "-00:00") else match[8]
    return text[:19] + (f".{fraction}" if fraction else "") + zone


def nanoseconds(text: str) -> int:
    """A time in nanoseconds since the epoch. Raises ValueError."""
    match = _match(text)
    year, month, day, hour, minute, second = (int(match[number]) for number in range(1, 7))
    offset = 0
    if match[9]:
        offset = (int(match[10]) * 60 + int(match[11])) * (-60 if match[9] == "-" else 60)
    whole = calendar.timegm((year, month, day, hour, minute, second)) - offset
    return whole * 1_000_000_000 + int((match[7] or "0").ljust(9, "0"))


def _match(text: str) -> re.Match[str]:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    return match

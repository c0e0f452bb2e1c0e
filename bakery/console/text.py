"""Words and numbers as the views write them: sizes, times, and log bytes made safe to show."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# CSI, OSC, the other string commands (DCS, SOS, PM, APC), then any shorter escape (ECMA-48 §5.4, §8.3).
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~]?)"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
# Everything that moves the cursor, rings, ends a line, or turns the direction of writing (trojan source).
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_RESET = "\x1b[0m"


def printable(data: bytes, colours: bool = False) -> str:
    """What a terminal would show of one line: text after the last carriage return, without control characters.

    With `colours`, the colour sequences that a program wrote stay, and end with the line.
    """
    text = data.decode("utf-8", "replace").rstrip("\r")
    text = text[text.rfind("\r") + 1 :]
    if not text.isprintable():
        kept = _COLOUR.findall(text) if colours else []
        text = _SEQUENCE.sub(_keep_colour, text) if kept else _CONTROL.sub("", _SEQUENCE.sub("", text))
        if kept:
            text = "".join(_piece(p) for p in re.split(f"({_COLOUR.pattern})", text)).removesuffix(_RESET) + _RESET
    return text


def _keep_colour(match: re.Match[str]) -> str:
    return match[0] if _COLOUR.fullmatch(match[0]) else ""


def _piece(text: str) -> str:
    return text if _COLOUR.fullmatch(text) else _CONTROL.sub("", text)


def size(count: int) -> str:
    """Bytes in decimal units, as BuildKit's progress has them: `154B`, `31.42MB`."""
    if count < 1000:
        return f"{count}B"
    value, units = count / 1000, ["PB", "TB", "GB", "MB", "kB"]
    while value >= 999.995 and len(units) > 1:
        value /= 1000
        units.pop()
    return f"{value:.2f}{units[-1]}"


def binary_size(count: int) -> str:
    """Bytes in binary units with no more digits than needed: `200KiB`, `2MiB`."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:g}{unit}"


def transferred(current: int, total: int) -> str:
    """`current / total`, or what is known of it."""
    if total:
        return f"{size(current)} / {size(total)}"
    return size(current) if current else ""


def log_time(seconds: float) -> str:
    """Seconds since a step began, about five characters wide."""
    return f"{seconds:.{3 if seconds < 10 else 2 if seconds < 100 else 1}f}"


def rfc3339(time: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with nanoseconds, trailing zeros dropped (Go's RFC3339Nano)."""
    whole, nanoseconds = divmod(round(time * 1_000_000) * 1000, 1_000_000_000)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{text}{fraction}Z"


def plural(count: int, noun: str) -> str:
    """`1 warning`, `2 warnings`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    """A time as people say it: `0.4s`, `12.3s`, `2m05s`, `1h02m`."""
    if seconds < 99.95:
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"

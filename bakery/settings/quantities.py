"""Durations and amounts of disk as people write them in settings and flags."""

from __future__ import annotations

import re

from engine.cache.policy import DiskSpace

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|s|m|h|d|w))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgtp])i?)?b?", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Seconds: a number of them, or Go's form with days and weeks as well: `1h30m`, `60d`. Raises ValueError."""
    if text.isdecimal():
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(f'"{text}" is no duration such as "48h", "1h30m" or "60d"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def parse_size(text: str) -> int:
    """Bytes, with binary units as the peer's flags have them: 1k is 1024. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f'"{text}" is no size such as "512MB" or "10GB"')
    power = "kmgtp".index(match[2].lower()) + 1 if match[2] else 0
    return int(float(match[1]) * 1024**power)


def parse_space(text: str) -> DiskSpace:
    """A size, or a share of the disk such as `20%`. Raises ValueError."""
    number = text.strip().removesuffix("%")
    if number == text.strip():
        return DiskSpace(parse_size(text))
    if not number.isdecimal() or int(number) > 100:
        raise ValueError(f'"{text}" is no share of the disk such as "20%"')
    return DiskSpace(percent=int(number))

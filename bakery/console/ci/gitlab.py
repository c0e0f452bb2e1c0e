"""GitLab CI: sections of a job's log that can be folded (docs.gitlab.com, "Job logs", custom collapsible sections)."""

from __future__ import annotations

SECTION = "bakery_build"


def section(title: str, now: float) -> str:
    """The beginning of a section; `now` in seconds since the epoch."""
    return f"\x1b[0Ksection_start:{int(now)}:{SECTION}\r\x1b[0K{title}\n"


def end_section(now: float) -> str:
    """Its end."""
    return f"\x1b[0Ksection_end:{int(now)}:{SECTION}\r\x1b[0K"

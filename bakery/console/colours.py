"""Whether to colour, and with what: NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE, TERM and BUILDKIT_COLORS.

See no-color.org, force-color.org, bixense.com/clicolors; BUILDKIT_COLORS is `run=green:error=255,0,0:…` as in BuildKit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakery.values import frozen

_NAMES = {"black": 30, "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36, "white": 37}
_RESET = "\x1b[0m"


def wants_colour(env: Mapping[str, str], terminal: bool) -> bool:
    """Whether colours are wanted on a stream that is, or is not, a terminal."""
    if env.get("NO_COLOR"):
        return False
    if _is_set(env, "FORCE_COLOR") or _is_set(env, "CLICOLOR_FORCE"):
        return True
    return terminal and env.get("TERM") != "dumb"


@frozen
class Palette:
    """The colour of each kind of line, as an SGR parameter string; empty for none."""

    run: str = ""
    cancel: str = ""
    warning: str = ""
    error: str = ""
    faint: str = ""

    @classmethod
    def of(cls, env: Mapping[str, str], terminal: bool) -> Palette:
        """The palette of an environment: none at all where colours are not wanted."""
        if not wants_colour(env, terminal):
            return cls()
        chosen = {"run": "34", "cancel": "33", "warning": "33", "error": "31", "faint": "2"}
        for item in env.get("BUILDKIT_COLORS", "").split(":"):
            name, _, value = item.partition("=")
            code = _code(value.strip().lower())
            if code and name in ("run", "cancel", "warning", "error"):
                chosen[name] = code
        return cls(**chosen)

    def paint(self, text: str, style: str) -> str:
        """A text in the colour of a style, which is one of the fields."""
        code = getattr(self, style) if style else ""
        return f"\x1b[{code}m{text}{_RESET}" if code else text


_SIGNS = {"ERROR:": "error", "FAILED": "error", "WARNING:": "warning", ">>>": "error"}
_SIGN = re.compile(r"^ERROR:|^WARNING:|(?<=  )FAILED(?=  )|(?<=\| )>>>(?= )", re.M)


def highlight(text: str, palette: Palette) -> str:
    """A text in which the words that say what went wrong have their colours."""
    return _SIGN.sub(lambda match: palette.paint(match[0], _SIGNS[match[0]]), text)


def _code(value: str) -> str:
    if value in _NAMES:
        return str(_NAMES[value])
    parts = value.split(",")
    if len(parts) == 3 and all(p.isdecimal() and int(p) < 256 for p in parts):
        return "38;2;" + ";".join(str(int(p)) for p in parts)
    return ""


def _is_set(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "") not in ("", "0", "false")

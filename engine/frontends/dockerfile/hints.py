"""The next step after an error whose message, which is the peer's, does not say it."""

from __future__ import annotations

import re

_FIRST = "a Dockerfile begins with FROM IMAGE, or FROM scratch for an empty one"
_HINTS = (
    (
        r"unknown instruction: [^ (]+$",
        "if it belongs to the line before, that one must end in \\; a command begins with RUN",
    ),
    (r"missing a value on flag: (--[\w-]+)", "write %s=VALUE, without a blank"),
    (r"missing unit in duration \"?([\d.]+)", "write %ss, or m or h for minutes or hours"),
    (r"repository name .*must be lowercase", "names of images have no capital letters"),
    (r"unterminated heredoc", "end it with a line that has nothing but the word behind <<"),
    (r"invalid mount target \"/\"", "say where it goes: --mount=…,target=/some/path"),
    (r"SHELL requires the arguments to be in JSON form", 'write it as SHELL ["/bin/bash", "-c"]'),
    (r"is not valid UTF-8", "save the Dockerfile as UTF-8"),
    (r"source can't be a (?:URL|git ref) for COPY", "ADD fetches URLs and repositories"),
    (r"invalid containerPort", "a port is a number up to 65535, or a range such as 8000-8010"),
    (
        r"base name \((.+)\) should not be blank",
        "give %s a default in an ARG before the first FROM, or a value in args",
    ),
    (
        r"dockerfile line greater than max allowed size",
        "break the line with \\, or put the text into a heredoc or a file",
    ),
    (
        r"missing '}'|unsupported modifier",
        "forms are ${NAME}, ${NAME:-default}, ${NAME:+other}; put what has blanks into quotes",
    ),
    (r"no build stage in current context", _FIRST),
    (r"contains no stages to build|Dockerfile cannot be empty|file with no instructions", _FIRST),
    (r"circular dependency detected", "a stage cannot copy from itself, nor from one that is made of it"),
)


def hint_for(message: str) -> str:
    """What to do about an error; empty where its message says it already, or nobody knows."""
    for pattern, hint in _HINTS:
        if match := re.search(pattern, message):
            return hint % match.groups()
    return ""

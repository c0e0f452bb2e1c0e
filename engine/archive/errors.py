"""What goes wrong with archives."""

from __future__ import annotations

import errno
import os

from engine.errors import NO_SPACE, SPACE_HINT, EngineError


class ArchiveError(EngineError):
    """A stream that is no archive, is broken, or tries what no archive may; or a disk that would not take its files."""


def disk_error(error: OSError, doing: str) -> ArchiveError:
    """What the operating system refused while `doing` (such as `unpacking usr/bin/tool`), with what helps."""
    hint = ""
    if error.errno in NO_SPACE:
        hint = SPACE_HINT
    elif error.errno == errno.EINVAL and "chown" in doing:
        hint = "give this user more subordinate IDs in /etc/subuid and /etc/subgid"
    return ArchiveError(f"{doing}: {os.strerror(error.errno or 0)}", hint=hint)

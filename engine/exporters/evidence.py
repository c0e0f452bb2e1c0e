"""What an output leaves behind, kept in so few words that a later build can see cheaply whether it is still there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from engine.exporters.contract import Evidence, Kind


def file_stamp(status: os.stat_result) -> str:
    """How a file looks: its change time goes on with everything that is done to it, and nobody can set it back."""
    if stat.S_ISDIR(status.st_mode):
        return f"{status.st_mode:o}"
    return f"{status.st_mode:o} {status.st_size} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def of_files(paths: Iterable[str]) -> list[Evidence]:
    """Evidence of files and folders that were just written. Raises OSError."""
    found = []
    for path in paths:
        status = os.lstat(path)
        kind = Kind.FOLDER if stat.S_ISDIR(status.st_mode) else Kind.FILE
        found.append(Evidence(kind, path, file_stamp(status)))
    return found


def of_names(folders: Iterable[str]) -> list[Evidence]:
    """Evidence that nothing else is in some folders. Raises OSError."""
    return [Evidence(Kind.NAMES, folder, "/".join(sorted(os.listdir(folder)))) for folder in folders]


def is_on_disk(item: Evidence) -> bool:
    """Whether a file, a folder or its names are as they were."""
    try:
        if item.kind is Kind.NAMES:
            return "/".join(sorted(os.listdir(item.place))) == item.stamp
        return file_stamp(os.lstat(item.place)) == item.stamp
    except OSError:
        return False

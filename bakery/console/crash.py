"""What happens when bakery itself is wrong: one line for the user, and a file with everything for us.

The file has no values of variables, and of the command line only what cannot be a secret.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bakery.version import VERSION


def write_report(error: BaseException) -> Path | None:
    """Writes a report about an unexpected exception; None if there is nowhere to write."""
    import platform
    import tempfile
    import traceback

    text = "\n".join(
        [
            f"bakery {VERSION}, Python {platform.python_version()}, {platform.platform()}",
            f"time: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
            f"command: {' '.join(without_values(sys.argv))}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    name = f"bakery-crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-"
    for folder in (_logs(), None):
        try:
            handle, path = tempfile.mkstemp(suffix=".txt", prefix=name, dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return Path(path)
        except OSError:
            continue
    return None


def without_values(argv: Sequence[str]) -> list[str]:
    """A command line in which what follows an `=` is left out: `--set`, `--var` and the like may carry secrets."""
    return [word.split("=", 1)[0] + "=…" if "=" in word else word for word in argv]


def _logs() -> Path | None:
    """The state folder's place for logs, if there is one already; a crash makes no folders."""
    from engine.state import default_root

    logs = default_root() / "logs"
    return logs if logs.is_dir() else None

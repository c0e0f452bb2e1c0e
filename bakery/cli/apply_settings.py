"""Settings as what stands in for flags that were not given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bakery.settings import Settings, load_settings, project_folder

_USUAL_PROGRESS = "auto"


def apply_settings(options: dict[str, Any], *, remote: bool = False) -> Settings:
    """Fills in the parsed options that were not given from the settings, and returns these for what has no flag.

    `remote`: the definition is not of this machine, so only the user's settings count. Raises BakeryError.
    """
    settings = load_settings(None if remote else project_folder(tuple(options.get("files", ()))))
    if settings.root and not options.get("root") and not os.environ.get("BAKERY_ROOT"):
        options["root"] = str(settings.root)
    if "progress" in options:
        options["progress"] = options["progress"] or settings.progress or _USUAL_PROGRESS
    for option, value in (
        ("step_network", settings.step_network),
        ("runtime", settings.runtime),
        ("jobs", settings.max_parallelism),
        ("jobs_per_target", settings.jobs_per_target),
        ("on_error", settings.on_error),
        ("timeout", settings.timeout),
        ("step_timeout", settings.step_timeout),
    ):
        if option in options and not options[option]:
            options[option] = value
    return settings


def state_folder(root: str | None) -> Path:
    """The state folder of a command that reads no bake file. Raises BakeryError."""
    return load_settings(Path.cwd()).state_folder(Path(root) if root else None)

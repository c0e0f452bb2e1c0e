"""What is set for bakery itself, apart from what to build: `bakery.toml` beside the bake file, and the user's own file.

The user's is `$BAKERY_CONFIG`, else `$XDG_CONFIG_HOME/bakery/config.toml`, else `~/.config/bakery/config.toml`. A
command's flag comes before the environment, that before the project's file, that before the user's:

    root = "cache"                # the state folder; in a project's file it must lie within the project
    runtime = "crun"              # what runs steps: native, bubblewrap, crun, runc
    step-network = "private"      # as --step-network
    progress = "plain"            # as --progress
    max-parallelism = 8           # as --jobs, which is a name for it, too
    jobs-per-target = 2           # as --jobs-per-target
    on-error = "fail-fast"        # as --on-error
    timeout = "2h"                # as --timeout, and step-timeout as --step-timeout
    file-relative-paths = true    # as --file-relative-paths
    strict = true                 # as --strict

    gc = true                     # collect garbage after builds
    gckeepduration = "60d"        # what nobody used for so long goes first
    reserved-space = "10GB"       # the limits of the default rules: bytes, "10GB" (binary units), or "20%" of the disk
    max-used-space = "80%"
    min-free-space = "20%"

    [[gcpolicy]]                  # instead of the default rules
    filters = ["type==exec.cachemount"]
    keep-duration = "48h"
    max-used-space = "2GB"
    all = false

    [history]
    keep = 100                    # builds that are kept
    max-used-space = "2GB"        # what they and the logs of their steps may take, the last one apart

    [[cache-export]]              # which steps' results go into exported caches; the first that matches decides
    step = "*RUN npm ci*"
    when = "slower"               # always, never, slower
    seconds = 20

    [registry."docker.io"]        # the user's file only: see engine.registry.settings

Keys may be written as BuildKit's configuration has them, too: `reservedSpace`, `keepDuration`, `gckeepstorage`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bakery.values import frozen

if TYPE_CHECKING:
    from engine.cache.export_policy import ExportPolicy
    from engine.cache.policy import DiskSpace, Rule

PROJECT_FILE = "bakery.toml"


@frozen
class Settings:
    """What the files say; None (or nothing) where they say nothing. Durations are seconds."""

    root: Path | None = None
    runtime: str | None = None
    step_network: str | None = None
    progress: str | None = None
    max_parallelism: int | None = None
    jobs_per_target: int | None = None
    on_error: str | None = None
    timeout: float | None = None
    step_timeout: float | None = None
    file_relative_paths: bool | None = None
    strict: bool | None = None
    gc: bool = True
    gc_keep_duration: float | None = None
    reserved_space: DiskSpace | None = None
    max_used_space: DiskSpace | None = None
    min_free_space: DiskSpace | None = None
    gc_policy: tuple[Rule, ...] | None = None
    history_keep: int | None = None
    history_space: DiskSpace | None = None
    cache_export: ExportPolicy | None = None

    def state_folder(self, option: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
        """The state folder: what a flag says, else the environment, else these settings, else the usual place."""
        from engine.state import default_root

        if option is not None:
            return option.absolute()
        if self.root is not None and not environ.get("BAKERY_ROOT"):
            return self.root
        return default_root()


def load_settings(folder: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the project in `folder` (None for none) over those of the user.

    Raises:
        BakeryError: located, for a file that cannot be read or has something in it that makes no sense.
    """
    user, project = _user_file(environ), folder / PROJECT_FILE if folder is not None else None
    found = [path for path in (user, project) if path is not None and os.path.exists(path)]
    if not found:
        return Settings()  # nothing more is imported: most builds end here
    from bakery.settings.reading import read

    values: dict[str, object] = {}
    for path in found:
        values |= read(path, is_project=path is project)
    return Settings(**values)  # type: ignore[arg-type]


def project_folder(files: tuple[str, ...] = (), cwd: Path | None = None) -> Path:
    """The folder of the first bake file that is named and of this machine, else the working folder."""
    here = cwd or Path.cwd()
    local = next((name for name in files if name != "-" and "://" not in name), None)
    return (here / local).parent if local else here


def _user_file(environ: Mapping[str, str]) -> Path:
    """The same as `engine.registry.settings.config_path`, without what importing that costs."""
    if path := environ.get("BAKERY_CONFIG"):
        return Path(path).absolute()
    base = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base).absolute() / "bakery" / "config.toml"

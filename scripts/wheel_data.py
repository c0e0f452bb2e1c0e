"""What a wheel has beside the packages: the manual page and completions, written by the program that is packed.

Run by hatchling when it builds a wheel (see pyproject.toml); click, which writes them, is required there for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WRITTEN = {
    "share/man/man1/bakery.1": ("manual",),
    "share/bash-completion/completions/bakery": ("completion", "bash"),
    "share/zsh/site-functions/_bakery": ("completion", "zsh"),
    "share/fish/vendor_completions.d/bakery.fish": ("completion", "fish"),
}
"""Where a file goes below the prefix of an installation, and the arguments of `bakery` that write it."""


class WheelData(BuildHookInterface[Any]):
    """Writes the files into a folder that is gone after the build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="bakery-wheel-")
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([self.root, *sys.path])}
        for number, (place, arguments) in enumerate(WRITTEN.items()):
            path = Path(self._folder.name, str(number))
            command = [sys.executable, "-m", "bakery", *arguments]
            path.write_bytes(subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE).stdout)
            build_data["shared_data"][str(path)] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling after it has packed."""
        if version != "editable":
            self._folder.cleanup()

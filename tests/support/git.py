"""Git in tests: with an author, and without this machine's own settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

WHO = {f"GIT_{role}_{what}": "a@b.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ALONE = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """Runs git in a folder; what it says."""
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    environ = {**ALONE, "HOME": str(folder), **WHO, **(environ or {})}
    done = subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    """Commits everything that is there, also where that is no change; the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a state")
    return git(folder, "rev-parse", "HEAD")

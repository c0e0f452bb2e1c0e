"""What is known of a build before it begins. Names of variables and arguments are kept, their values never are."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakery.config.target import Project, Target
from bakery.console.crash import without_values
from bakery.history.git_state import Checkout
from bakery.history.lines import without_credentials
from bakery.version import VERSION

_CI = {
    "GITHUB_ACTIONS": "github",
    "GITLAB_CI": "gitlab",
    "JENKINS_URL": "jenkins",
    "BUILDKITE": "buildkite",
    "CIRCLECI": "circleci",
    "CI": "other",
}
Facts = dict[str, Any]


def gather(
    project: Project, argv: Sequence[str], env: Mapping[str, str], cwd: Path, checkout: Checkout | None
) -> Facts:
    """Everything that goes into `facts.json` but the build's own ID and time."""
    system = os.uname()
    return {
        "command": [without_credentials(word) for word in without_values(argv)],
        "folder": str(cwd),
        "files": [{"name": f.name, "sha256": hashlib.sha256(f.text.encode()).hexdigest()} for f in project.files],
        "remote": without_credentials(project.remote or ""),
        "targets": {target.name: _target(target) for target in project.targets.values()},
        "git": _git(checkout),
        "machine": {
            "bakery": VERSION,
            "python": ".".join(map(str, sys.version_info[:3])),
            "system": f"{system.sysname} {system.release} {system.machine}",
            "cores": os.cpu_count() or 1,
            "user": os.geteuid(),
        },
        "ci": _ci(env),
    }


def _target(target: Target) -> Facts:
    found: Facts = {
        "context": without_credentials(target.context),
        "dockerfile": "" if target.dockerfile_inline is not None else target.dockerfile,
        "target": target.target or "",
        "platforms": list(target.platforms),
        "tags": list(target.tags),
        "args": sorted(target.args),
        "output": [entry.type for entry in target.output],
        "contexts": {name: without_credentials(value) for name, value in target.contexts.items()},
        "requested": target.requested,
    }
    return {key: value for key, value in found.items() if value not in ("", [], {})}


def _git(checkout: Checkout | None) -> Facts:
    return {"commit": checkout.commit, "branch": checkout.branch} if checkout else {}


def _ci(env: Mapping[str, str]) -> Facts:
    name = next((name for variable, name in _CI.items() if env.get(variable, "") not in ("", "0", "false")), "")
    if name == "github":
        place = f"{env.get('GITHUB_SERVER_URL', '')}/{env.get('GITHUB_REPOSITORY', '')}"
        return {"name": name, "url": f"{place}/actions/runs/{env.get('GITHUB_RUN_ID', '')}"}
    url = env.get("CI_JOB_URL" if name == "gitlab" else "BUILD_URL", "")
    return {"name": name} | ({"url": without_credentials(url)} if url else {}) if name else {}

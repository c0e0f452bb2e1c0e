"""Programs of this machine that come with a device and run when a step that has it begins or ends.

They are what nobody but an OCI runtime can do at the right moments, so the other runtimes refuse them.

Format: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md, and for the moments
https://github.com/opencontainers/runtime-spec/blob/main/config.md#posix-platform-hooks
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UnsupportedError
from engine.sandbox.contract import Hook

MOMENTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
"""When a hook may run."""


def hook_of(description: Mapping[str, Any]) -> Hook:
    """A hook as the description of a device has it. Raises KeyError or ValueError for what is none."""
    moment = description["hookName"]
    if moment not in MOMENTS:
        raise ValueError(f"there is no hook called {moment}")
    args, env = (tuple(map(str, description.get(name) or ())) for name in ("args", "env"))
    return Hook(moment, str(description["path"]), args, env, int(description.get("timeout") or 0))


def refuse(hooks: Sequence[Hook], runtime: str) -> None:
    """Raises UnsupportedError if there are any."""
    for hook in hooks:
        raise UnsupportedError(
            f"a device of the step has the {hook.moment} hook {hook.path}, which the runtime `{runtime}` cannot run",
            hint="use --runtime=crun or --runtime=runc, or a description of the device without hooks",
        )


def configuration(hooks: Sequence[Hook]) -> dict[str, list[dict[str, Any]]]:
    """The `hooks` of an OCI runtime's configuration."""
    found: dict[str, list[dict[str, Any]]] = {}
    for hook in hooks:
        entry: dict[str, Any] = {"path": hook.path, "args": list(hook.args), "env": list(hook.env)}
        found.setdefault(hook.moment, []).append(entry | ({"timeout": hook.timeout} if hook.timeout else {}))
    return found

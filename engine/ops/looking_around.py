"""A shell in place of a step, or after it has failed: in its file system, with its mounts and environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StepError

if TYPE_CHECKING:
    from engine.ops.context import StepContext
    from engine.sandbox.contract import Step

SHELLS = ("/bin/bash", "/bin/sh", "/bin/ash", "/usr/bin/bash", "/usr/bin/sh", "/busybox/sh")


async def look_around(context: StepContext, step: Step, root: Path) -> None:
    """Opens a shell on the user's terminal and returns when it is left. What it changes is in no layer.

    Raises:
        StepError: if the step's file system has no shell.
    """
    from engine.sandbox.terminal import converse

    assert context.shell is not None
    shell = next((path for path in SHELLS if _is_there(root, path)), None)
    if shell is None:
        raise StepError("there is no shell in the file system of the step", hint=f"looked for {', '.join(SHELLS)}")
    async with context.terminal:
        with context.shell.opening(context.vertex.note.name):
            await converse(context.runtime(), replace(step, args=(shell,)), root)


def _is_there(root: Path, path: str) -> bool:
    return (root / path.lstrip("/")).is_symlink() or (root / path.lstrip("/")).exists()

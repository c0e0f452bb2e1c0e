"""Which commit a folder is at, read from git's own files: starting `git` would cost more than a whole no-op build.

Formats: gitrepository-layout(5) (`gitdir:` files, `commondir`, `packed-refs`).
"""

from __future__ import annotations

from pathlib import Path

from bakery.values import frozen

_SMALL = 16 * 1024 * 1024
"""A `packed-refs` larger than this is not read."""
PATIENCE = 2.0
"""Seconds that `git status` may take."""


@frozen
class Checkout:
    """A work tree: its folder, the commit it is at, and the branch, empty if there is none."""

    folder: Path
    commit: str = ""
    branch: str = ""


def find_checkout(folder: Path) -> Checkout | None:
    """The work tree that a folder is in; None outside of one."""
    for place in (folder, *folder.parents):
        mark = place / ".git"
        try:
            if mark.is_file():
                target = mark.read_text().strip().removeprefix("gitdir:").strip()
                return _read(place, place / target)
            if mark.is_dir():
                return _read(place, mark)
        except (OSError, ValueError):
            return None
    return None


def is_changed(checkout: Checkout) -> bool | None:
    """Whether the work tree differs from its commit, untracked files included; None if git cannot say in time."""
    import subprocess  # 8 ms that a build with nothing to do can do without

    command = ["git", "--no-optional-locks", "-C", str(checkout.folder), "status", "--porcelain", "-z"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return bool(done.stdout) if done.returncode == 0 else None


def _read(folder: Path, git: Path) -> Checkout:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return Checkout(folder, head)
    ref = head.removeprefix("ref:").strip()
    common = git
    if (git / "commondir").is_file():  # a linked work tree: branches are those of the main one
        common = git / (git / "commondir").read_text().strip()
    return Checkout(folder, _commit(common, ref), ref.removeprefix("refs/heads/"))


def _commit(git: Path, ref: str) -> str:
    try:
        return (git / ref).read_text().strip()
    except FileNotFoundError:
        pass
    packed = git / "packed-refs"
    if not packed.is_file() or packed.stat().st_size > _SMALL:
        return ""
    for line in packed.read_text().splitlines():
        commit, _, name = line.partition(" ")
        if name == ref:
            return commit
    return ""

"""States of a git repository as folders: of a commit, or of what is in the work tree now."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bakery.diagnostics import BakeryError


def top_level(folder: Path) -> Path:
    """The work tree that a folder is in. Raises BakeryError outside of one, or without git."""
    return Path(_git(folder, "rev-parse", "--show-toplevel").strip())


def commit_of(folder: Path, ref: str) -> str:
    """The commit that a name means; `A...` is where A and HEAD parted. Raises BakeryError if there is none."""
    if ref.endswith("..."):
        return _git(folder, "merge-base", commit_of(folder, ref.removesuffix("...")), "HEAD").strip()
    return _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", meaning=ref
    ).strip()


@contextmanager
def commit_tree(folder: Path, commit: str) -> Iterator[Path]:
    """A new folder with the files of a commit, gone after the block."""
    with _scratch() as scratch:
        _git(folder, "read-tree", commit, index=scratch / "index")
        yield _checkout(folder, scratch)


@contextmanager
def current_tree(folder: Path) -> Iterator[Path]:
    """A new folder with the work tree's files as they are, untracked ones too, but for those that git ignores."""
    with _scratch() as scratch:
        _git(folder, "read-tree", "--empty", index=scratch / "index")
        # Objects go where nobody keeps them: asking must not fill the repository.
        objects = scratch / "objects"
        objects.mkdir()
        own = _git(folder, "rev-parse", "--git-path", "objects").strip()
        environ = {
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((folder / own).resolve()),
        }
        _git(top_level(folder), "add", "--all", index=scratch / "index", environ=environ)
        yield _checkout(folder, scratch, environ)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bakery-affected-") as name:
        yield Path(name)


def _checkout(folder: Path, scratch: Path, environ: dict[str, str] | None = None) -> Path:
    tree = scratch / "tree"
    tree.mkdir()
    top = top_level(folder)
    _git(top, "checkout-index", "--all", "--force", f"--prefix={tree}/", index=scratch / "index", environ=environ)
    return tree


def _git(
    folder: Path, *arguments: str, index: Path | None = None, environ: dict[str, str] | None = None, meaning: str = ""
) -> str:
    env = {**os.environ, **(environ or {}), **({"GIT_INDEX_FILE": str(index)} if index else {})}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise BakeryError.of("git is needed to compare two states of a repository", hint="install git") from None
    if done.returncode:
        said = done.stderr.strip().removeprefix("fatal: ")
        raise BakeryError.of(f"git: no commit is called {meaning!r}" if meaning else f"git: {said}")
    return done.stdout

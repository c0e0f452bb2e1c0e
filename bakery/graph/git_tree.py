"""States of a git repository as folders: of a commit, or of what is in the work tree now."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bakery.diagnostics import BakeryError

_OF_A_HOOK = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"})
"""Variables by which git tells a hook where it is; we say that ourselves."""


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
    """A new folder with the files of a commit and of its submodules, gone after the block."""
    with _scratch() as scratch:
        _put_commit(top_level(folder), commit, scratch / "tree")
        yield scratch / "tree"


@contextmanager
def current_tree(folder: Path) -> Iterator[Path]:
    """A new folder with the work tree's files as they are, untracked ones too, but for those that git ignores.

    What is tracked is not ignored. Submodules, and other repositories that lie in the work tree, are as they are, too.
    """
    with _scratch() as scratch:
        _put_current(top_level(folder), scratch / "tree")
        yield scratch / "tree"


def _put_commit(top: Path, commit: str, tree: Path) -> None:
    with _scratch() as scratch:
        index = scratch / "index"
        _git(top, "read-tree", commit, index=index)
        _checkout(top, index, tree)
        for path, linked in _submodules(top, index):
            if _has_commit(top / path, linked):
                _put_commit(top / path, linked, tree / path)
            else:
                _mark(tree / path, linked)


def _put_current(top: Path, tree: Path) -> None:
    with _scratch() as scratch:
        index = scratch / "index"
        # Objects go where nobody keeps them: asking must not fill the repository.
        objects = scratch / "objects"
        objects.mkdir()
        own = _git(top, "rev-parse", "--git-path", "objects").strip()
        environ = {
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((top / own).resolve()),
        }
        _git(top, "read-tree", "--empty", index=index)
        _git(top, "add", "--all", index=index, environ=environ)
        if names := [name for name in _tracked_but_ignored(top) if _is_file(top, name)]:
            text = "".join(f"{name}\0" for name in names)
            _git(top, "update-index", "--add", "-z", "--stdin", index=index, environ=environ, text=text)
        _checkout(top, index, tree, environ)
        for path, _ in _submodules(top, index):
            _put_current(top / path, tree / path)
        for path, linked in _submodules(top):
            if not (top / path / ".git").exists():
                _mark(tree / path, linked)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bakery-affected-") as name:
        yield Path(name)


def _checkout(top: Path, index: Path, tree: Path, environ: Mapping[str, str] | None = None) -> None:
    tree.mkdir(exist_ok=True, parents=True)
    _git(top, "checkout-index", "--all", "--force", f"--prefix={tree}/", index=index, environ=environ)


def _submodules(top: Path, index: Path | None = None) -> list[tuple[str, str]]:
    """The paths in an index (without one, the repository's own) that are other repositories, and their commits."""
    entries = (entry.partition("\t") for entry in _git(top, "ls-files", "--stage", "-z", index=index).split("\0"))
    return [(path, head.split()[1]) for head, _, path in entries if head.startswith("160000 ")]


def _has_commit(repository: Path, commit: str) -> bool:
    if not (repository / ".git").exists():
        return False
    try:
        _git(repository, "cat-file", "-e", f"{commit}^{{commit}}")
    except BakeryError:
        return False
    return True


def _mark(folder: Path, commit: str) -> None:
    """Stands for files that are not on this machine: they are the same if their commit is."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / ".git-commit").write_text(commit)


def _tracked_but_ignored(top: Path) -> list[str]:
    return [*filter(None, _git(top, "ls-files", "--cached", "--ignored", "--exclude-standard", "-z").split("\0"))]


def _is_file(top: Path, name: str) -> bool:
    """Whether there is a file or link of this name that no link leads to."""
    path = top / name
    return path.parent.resolve() == top.resolve() / Path(name).parent and (path.is_symlink() or path.is_file())


def _git(
    folder: Path,
    *arguments: str,
    index: Path | None = None,
    environ: Mapping[str, str] | None = None,
    meaning: str = "",
    text: str | None = None,
) -> str:
    env = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    env |= {**(environ or {}), **({"GIT_INDEX_FILE": str(index)} if index else {})}
    # What is left out of a sparse work tree is not there for a build, but what is there all the same is.
    command = ["git", "-C", str(folder), "-c", "core.sparseCheckout=false", *arguments]
    try:
        done = subprocess.run(command, env=env, input=os.fsencode(text or ""), capture_output=True)
    except FileNotFoundError:
        raise BakeryError.of("git is needed to compare two states of a repository", hint="install git") from None
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().removeprefix("fatal: ")
        if meaning:
            raise BakeryError.of(f"git: no commit is called {meaning!r}", hint="`git log --oneline` lists commits")
        outside = "not a git repository" in said
        hint = "`bakery affected` compares two states of a repository: make one with `git init`" if outside else ""
        raise BakeryError.of(f"git: {said}", hint=hint)
    return os.fsdecode(done.stdout)

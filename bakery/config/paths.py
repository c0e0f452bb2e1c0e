"""Local paths in targets: which values are paths at all, and where relative ones start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bakery.config.textforms import clean_path

CWD = "cwd://"
"""The prefix of a path that starts in the working folder, whatever else relative paths start from."""

_ELSEWHERE = ("target:", "git@", "github.com/")
_LOCAL_OUTPUTS = frozenset({"local", "tar", "oci", "docker"})


def is_local(where: str) -> bool:
    """Whether a context is a path of this machine rather than a URL, an image, another target…"""
    return "://" not in where and not where.startswith(_ELSEWHERE)


def is_remote_url(where: str) -> bool:
    """Whether a definition or context is fetched: http(s), git or ssh URLs, and `git@host:path`."""
    return where.startswith(("http://", "https://", "git://", "ssh://", "git@", "github.com/"))


def joined(folder: str, path: str) -> str:
    """A relative path seen from the folder that `folder` is relative to; absolute ones stay."""
    if path.startswith(CWD):
        return clean_path(path.removeprefix(CWD))
    if path.startswith("/") or not is_local(path):
        return path
    return clean_path(f"{folder}/{path}") if folder else path


def rebase_contexts(values: dict[str, Any], folder: str, main_folder: str) -> None:
    """Let the contexts that one block sets start in `folder`, the main one in `main_folder`."""
    if isinstance(values.get("context"), str) and values["context"]:
        values["context"] = joined(main_folder, values["context"])
    if "contexts" in values:
        values["contexts"] = {
            name: joined(folder, where) if where else where for name, where in values["contexts"].items()
        }


def rebase_files(values: dict[str, Any], folder: str) -> None:
    """Let all other paths that one block sets start in `folder`: secrets, ssh keys, outputs, local caches, policies."""
    changes: dict[str, Callable[[Any], Any]] = {
        "secret": lambda entry: replace(entry, src=joined(folder, entry.src)) if entry.src else entry,
        "ssh": lambda entry: replace(entry, paths=tuple(joined(folder, path) for path in entry.paths)),
        "output": lambda entry: _rebased_output(entry, folder),
        "cache-from": lambda entry: _rebased_cache(entry, folder, "src"),
        "cache-to": lambda entry: _rebased_cache(entry, folder, "dest"),
        "policy": lambda entry: replace(entry, filename=joined(folder, entry.filename)) if entry.filename else entry,
    }
    for name, change in changes.items():
        if name in values:
            values[name] = [change(entry) for entry in values[name]]


def _rebased_output(entry: Any, folder: str) -> Any:
    if entry.type not in _LOCAL_OUTPUTS or entry.dest in ("", "-"):
        return entry
    return replace(entry, dest=joined(folder, entry.dest))


def _rebased_cache(entry: Any, folder: str, key: str) -> Any:
    if entry.type != "local" or key not in entry.attrs:
        return entry
    return replace(entry, attrs={**entry.attrs, key: joined(folder, entry.attrs[key])})

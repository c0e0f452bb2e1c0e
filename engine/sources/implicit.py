"""Folders that a layer's tar has files in but does not mention: they look as they do in the layers below."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine.errors import SPACE_HINT, StateError
from engine.tree import Entry, Tree, resolve


def copy_metadata(lower: Tree, layer: Path, folders: Sequence[str]) -> None:
    """Gives folders of a layer (paths such as `/a/b`, parents first) the metadata that they have in `lower`.

    Where `lower` has a symbolic link to a folder, the tar's files are meant to go where it leads: that is how Docker
    and containerd unpack, one layer onto the others.

    Raises:
        StateError: if the disk does not take it.
    """
    try:
        for path in folders:
            entry = lower.lstat(path)
            if entry is None or not (layer / path.lstrip("/")).is_dir():
                continue
            if entry.is_link:
                _follow(lower, layer, path)
            elif entry.is_dir:
                _dress(lower, path, entry, layer / path.lstrip("/"))
    except OSError as error:
        raise StateError(f"cannot finish a layer: {error.strerror or error}", hint=SPACE_HINT) from error


def _dress(lower: Tree, path: str, entry: Entry, folder: Path) -> None:
    """Owner, mode, attributes and time. The folder is ours and fresh; no other process writes there."""
    with suppress(PermissionError):  # not root: all files are ours
        os.chown(folder, entry.uid, entry.gid, follow_symlinks=False)
    os.chmod(folder, stat.S_IMODE(entry.mode))
    for name, value in lower.xattrs(path).items():
        os.setxattr(folder, name, value, follow_symlinks=False)
    os.utime(folder, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


def _follow(lower: Tree, layer: Path, path: str) -> None:
    target = resolve(lower, path)
    found = lower.lstat(target)
    if target == path or found is None or not found.is_dir:
        return
    made = layer
    for part in target.strip("/").split("/"):
        made = made / part
        at = "/" + str(made.relative_to(layer))
        if made.is_symlink() or (made.exists() and not made.is_dir()):
            return  # the layer itself put something else in the link's way
        if not made.exists():
            made.mkdir()
            if below := lower.lstat(at):
                _dress(lower, at, below, made)
    _merge(layer / path.lstrip("/"), made)
    parent = lower.lstat(posixpath.dirname(target))
    if parent and made.parent != layer:
        os.utime(made.parent, ns=(parent.mtime_ns, parent.mtime_ns))


def _merge(source: Path, target: Path) -> None:
    """Moves what is in one folder of the layer into another of it."""
    for child in sorted(os.listdir(source)):
        old, new = source / child, target / child
        if old.is_dir() and not old.is_symlink() and new.is_dir() and not new.is_symlink():
            _merge(old, new)
        else:
            os.rename(old, new)
    os.rmdir(source)

"""Places to mount on, made without touching the layer that a step writes.

What has to be there for a mount and is not goes into a folder that is laid between the snapshot and the new layer: so a
step finds it, and its layer never knows. (BuildKit makes such stubs in the layer and takes them away afterwards.)
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path

from engine.errors import StepError
from engine.tree import Tree, resolve
from engine.values import frozen


@frozen
class Place:
    """A file or folder that is made to be mounted on, or to lead there."""

    is_folder: bool
    mode: int
    uid: int = 0
    gid: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()


class MountPoints:
    """Mount points over one tree: those that are missing, for `write` to make."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._places: dict[str, Place] = {}

    def add(self, path: str, *, is_folder: bool, mode: int = 0) -> str:
        """Sees to it that there is something to mount on; the path of it, with no symbolic link in it.

        `mode` is what is made if it is not there, as chmod(2) takes it; 0 for the usual one.

        Raises:
            StepError: if there is something of another kind.
        """
        real = resolve(self._tree, path)
        entry = self._tree.lstat(real)
        if entry is not None and entry.is_dir != is_folder:
            kind = "a folder" if entry.is_dir else "no folder"
            raise StepError(f"cannot mount on {path}: it is {kind} in the file system of the step")
        if entry is None:
            self._parents(real)
            self._places.setdefault(real, Place(is_folder, mode or (0o755 if is_folder else 0o644)))
        return real

    def mode(self, real: str) -> int:
        """The permissions of a place that was added, as chmod(2) takes them."""
        entry = self._tree.lstat(real)
        return self._places[real].mode if entry is None else stat.S_IMODE(entry.mode)

    @property
    def key(self) -> tuple[tuple[str, Place], ...]:
        """What is missing, parents first: where it is the same, so is what `write` makes. Empty if nothing is."""
        return tuple(self._places.items())

    def write(self, folder: Path) -> None:
        """Makes what is missing in an empty folder. Raises OSError."""
        for path, place in self._places.items():
            target = f"{folder}{path}"
            if not place.is_folder:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, place.mode))
                continue
            if path != "/":
                os.mkdir(target)
            os.chown(target, place.uid, place.gid)
            os.chmod(target, place.mode)
            for name, value in place.xattrs:
                os.setxattr(target, name, value)

    def _parents(self, path: str) -> None:
        """Folders on the way look as they do in the tree: the overlay shows those of its topmost part."""
        parent = posixpath.dirname(path)
        if parent in self._places:
            return
        if parent != "/":
            self._parents(parent)
        entry = self._tree.lstat(parent)
        if entry is None:
            self._places[parent] = Place(True, 0o755)
        elif not entry.is_dir:
            raise StepError(f"cannot mount on {path}: {parent} is no folder in the file system of the step")
        else:
            xattrs = tuple(sorted(self._tree.xattrs(parent).items()))
            self._places[parent] = Place(True, stat.S_IMODE(entry.mode), entry.uid, entry.gid, xattrs)

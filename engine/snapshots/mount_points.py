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


class MountPoints:
    """Mount points over one tree, kept in `folder`, which must be empty and only ours."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        self._tree = tree
        self._folder = folder
        self._top_done = False

    def add(self, path: str, *, is_folder: bool) -> str:
        """Sees to it that there is something to mount on; the path of it, with no symbolic link in it.

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
            place = self._place(real)
            if not os.path.lexists(place):
                if is_folder:
                    _make_folder(place)
                else:
                    os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        return real

    @property
    def used(self) -> bool:
        """Whether anything had to be made."""
        return self._top_done

    def _place(self, path: str) -> str:
        return f"{self._folder}{path}"

    def _parents(self, path: str) -> None:
        """Folders on the way look as they do in the tree: the overlay shows those of its topmost part."""
        parent = posixpath.dirname(path)
        if parent != "/":
            self._parents(parent)
        elif self._top_done:
            return
        place = self._place(parent)
        if parent != "/" and os.path.lexists(place):
            return
        self._top_done = True
        entry = self._tree.lstat(parent)
        if parent != "/":
            _make_folder(place)
        if entry is None:
            return
        if not entry.is_dir:
            raise StepError(f"cannot mount on {path}: {parent} is no folder in the file system of the step")
        os.chown(place, entry.uid, entry.gid)
        os.chmod(place, stat.S_IMODE(entry.mode))
        for name, value in self._tree.xattrs(parent).items():
            os.setxattr(place, name, value)


def _make_folder(place: str) -> None:
    os.mkdir(place)
    os.chmod(place, 0o755)

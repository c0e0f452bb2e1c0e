"""The file system that a file op changes: a snapshot, with the changes written straight into a new layer's folder.

Nothing is mounted. What overlayfs would do is done here: a folder that exists below is made in the layer with the
metadata it has there (without touching its parent's times), a removed path becomes a whiteout, a folder made in place
of a removed one is opaque. All paths given here are real ones: they come out of `resolve`, so no component of them is
a symbolic link; the layer's folder is nobody else's, so they stay real.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from engine.errors import StepError
from engine.snapshots.overlay_format import OverlayFormat
from engine.tree import Entry, Tree

T = TypeVar("T")

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LayerRoot:
    """A `Tree` that can be changed. Not for several threads at once."""

    def __init__(self, base: Tree, layer: Path | str, form: OverlayFormat) -> None:
        self.base = base
        self._layer = str(layer)
        self._form = form
        self._present: set[str] = {"/"}
        self._covering: dict[str, bool] = {"/": False}

    # ------------------------------------------------------------ reading

    def lstat(self, path: str) -> Entry | None:
        """The entry at a path, links not followed; None if there is none."""
        try:
            info = os.lstat(self._layer + path)
        except FileNotFoundError:
            return None if path != "/" and self.covers(posixpath.dirname(path)) else self.base.lstat(path)
        except NotADirectoryError:
            return None
        return None if _is_whiteout(info) else _entry(info)

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder, sorted by their bytes."""
        found: set[str] = set() if self.covers(path) else set(self._names_below(path))
        try:
            with os.scandir(self._layer + path) as entries:
                for entry in entries:
                    if _is_whiteout(entry.stat(follow_symlinks=False)):
                        found.discard(entry.name)
                    else:
                        found.add(entry.name)
        except FileNotFoundError:
            if self.lstat(path) is None:
                raise
        return sorted(found, key=os.fsencode)

    def readlink(self, path: str) -> str:
        """The target of a symbolic link, as written."""
        return os.readlink(self._layer + path) if self._is_above(path) else self.base.readlink(path)

    def open(self, path: str) -> BinaryIO:
        """A regular file's content."""
        if not self._is_above(path):
            return self.base.open(path)
        return open(os.open(self._layer + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def xattrs(self, path: str) -> Mapping[str, bytes]:
        """Extended attributes."""
        if not self._is_above(path):
            return self.base.xattrs(path)
        real = self._layer + path
        names = [name for name in os.listxattr(real, follow_symlinks=False) if not self._form.is_mark(name)]
        return {name: os.getxattr(real, name, follow_symlinks=False) for name in names}

    # ------------------------------------------------------------ changing

    def make_folder(self, path: str, mode: int) -> str:
        """Makes a folder where nothing is; its parent is there. Returns where it lies on this machine."""
        real = self._make(path, lambda name: os.mkdir(name, 0o700))
        os.chmod(real, mode)
        below = self.base.lstat(path) if not self.covers(posixpath.dirname(path)) else None
        if below is not None and below.is_dir:
            self._form.make_opaque(real)
        self._present.add(path)
        self._covering[path] = True
        return real

    def make_file(self, path: str) -> int:
        """Makes an empty file, mode 0600, where nothing is, or only a file of a lower layer; returns a descriptor."""
        fd = -1

        def make(name: str) -> None:
            nonlocal fd
            fd = os.open(name, _NEW_FILE, 0o600)

        self._make(path, make)
        return fd

    def make_link(self, path: str, target: str) -> str:
        """Makes a symbolic link where nothing is. Returns where it lies on this machine."""
        return self._make(path, lambda name: os.symlink(target, name))

    def make_hard_link(self, path: str, existing: str) -> str:
        """Gives a file of this layer another name. Returns where it lies on this machine."""
        return self._make(path, lambda name: os.link(self._layer + existing, name, follow_symlinks=False))

    def make_node(self, path: str, mode: int, device: int) -> str:
        """Makes a fifo or a device. Returns where it lies on this machine.

        Raises StepError for a device that this user may not make, and for 0:0, which is overlayfs's own.
        """
        if stat.S_ISCHR(mode) and device == 0:
            raise StepError(f"cannot copy {path}: a character device 0:0 stands for a removed file in a layer")
        try:
            return self._make(path, lambda name: os.mknod(name, mode, device))
        except PermissionError:
            hint = "device nodes can be made by root only; exclude it"
            raise StepError(f"cannot make the device {path}", hint=hint) from None

    def take_up(self, path: str) -> str:
        """Sees to it that an existing folder is in the layer. Returns where it lies on this machine."""
        real = self._layer + path
        if path in self._present:
            return real
        parent = self.take_up(posixpath.dirname(path))
        self._present.add(path)
        before = os.lstat(parent)
        try:
            os.mkdir(real, 0o700)
        except FileExistsError:
            return real
        entry = self.base.lstat(path)
        assert entry is not None
        assert entry.is_dir
        os.chown(real, entry.uid, entry.gid)
        os.chmod(real, stat.S_IMODE(entry.mode))
        for name, value in self.base.xattrs(path).items():
            os.setxattr(real, name, value)
        os.utime(real, ns=(entry.mtime_ns, entry.mtime_ns))
        os.utime(parent, ns=(before.st_atime_ns, before.st_mtime_ns))
        return real

    def real(self, path: str) -> str:
        """Where something that lies in the layer is on this machine."""
        return self._layer + path

    def remove(self, path: str) -> None:
        """Removes what is at a path, with all in it. Nothing there is fine."""
        entry = self.lstat(path)
        if entry is None:
            return
        parent = posixpath.dirname(path)
        real = f"{self.take_up(parent).rstrip('/')}/{posixpath.basename(path)}"
        if self._is_above(path):
            if entry.is_dir:
                shutil.rmtree(real)
                self.forget(path)
            else:
                os.unlink(real)
        if not self.covers(parent) and self.base.lstat(path) is not None:
            self._form.make_whiteout(real)

    def unlink_above(self, path: str) -> None:
        """Before another file takes its place: takes a file away that is in the layer; a lower one stays covered."""
        if self._is_above(path):
            os.unlink(self._layer + path)

    def forget(self, path: str) -> None:
        """After somebody else changed the layer at or below a path."""
        inside = path.rstrip("/") + "/"
        self._present = {p for p in self._present if p != path and not p.startswith(inside)} | {"/"}
        self._covering = {p: c for p, c in self._covering.items() if p != path and not p.startswith(inside)}
        self._covering["/"] = False

    # ------------------------------------------------------------ the layer's own marks

    def _make(self, path: str, make: Callable[[str], None]) -> str:
        parent, name = posixpath.split(path)
        real = f"{self.take_up(parent).rstrip('/')}/{name}"
        try:
            make(real)
        except FileExistsError:
            os.unlink(real)  # a whiteout: the caller saw that there is nothing
            make(real)
        return real

    def _is_above(self, path: str) -> bool:
        """Whether what is seen at a path lies in the layer itself."""
        try:
            return not _is_whiteout(os.lstat(self._layer + path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def covers(self, path: str) -> bool:
        """Whether a folder hides all that lies below it in lower layers."""
        known = self._covering.get(path)
        if known is None:
            known = self.covers(posixpath.dirname(path)) or self._form.opacity(self._layer + path) == b"y"
            self._covering[path] = known
        return known

    def _names_below(self, path: str) -> Sequence[str]:
        try:
            return self.base.names(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return ()
            raise


def _is_whiteout(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _entry(info: os.stat_result) -> Entry:
    size = info.st_size if stat.S_ISREG(info.st_mode) else 0
    return Entry(info.st_mode, info.st_uid, info.st_gid, size, info.st_mtime_ns, info.st_rdev, info.st_nlink)

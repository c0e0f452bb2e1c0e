"""What an action says about owner, mode and time of what it makes, and how that is put on files and folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from engine.llb.ops import KEEP
from engine.ops.file.layer_root import LayerRoot
from engine.ops.file.modes import KEEP_MODE, Mode
from engine.ops.file.ownership import Owner
from engine.tree import Entry
from engine.values import frozen

_MARKS = ("trusted.overlay.", "user.overlay.")
FOLDER_MODE = 0o755


@frozen
class Settings:
    """`owner` None keeps the source's, `timestamp` (nanoseconds) -1 keeps the source's time.

    `folder_mode` is for folders made on the way. `warn` takes what went wrong but does not matter.
    """

    owner: Owner | None = None
    timestamp: int = KEEP
    mode: Mode = KEEP_MODE
    folder_mode: int = FOLDER_MODE
    warn: Callable[[str], None] = lambda message: None

    def apply(self, target: int | str, entry: Entry, xattrs: Mapping[str, bytes]) -> None:
        """Gives a file or folder (a path, or a descriptor) what its source has, as far as nothing else is said."""
        self.own(target, entry)
        if not entry.is_link:
            os.chmod(target, self.mode.apply(entry.mode))
        # After the owner: changing that would take file capabilities away again.
        for name, value in xattrs.items():
            if not name.startswith(_MARKS):
                self._set(target, name, value)
        self.time(target, entry.mtime_ns)

    def own(self, target: int | str, entry: Entry) -> None:
        """Sets the owner."""
        owner = self.owner or entry
        if isinstance(target, int):
            os.chown(target, owner.uid, owner.gid)
        else:
            os.chown(target, owner.uid, owner.gid, follow_symlinks=False)

    def time(self, target: int | str, mtime_ns: int) -> None:
        """Sets the time, to the source's if no other is asked for."""
        when = mtime_ns if self.timestamp == KEEP else self.timestamp
        if isinstance(target, int):
            os.utime(target, ns=(when, when))
        else:
            os.utime(target, ns=(when, when), follow_symlinks=False)

    def stamp(self, made: str) -> None:
        """Owner and time of something that has no source."""
        if self.owner is not None:
            os.chown(made, self.owner.uid, self.owner.gid, follow_symlinks=False)
        if self.timestamp != KEEP:
            os.utime(made, ns=(self.timestamp, self.timestamp), follow_symlinks=False)

    def _set(self, target: int | str, name: str, value: bytes) -> None:
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            self.warn(f"the extended attribute {name} could not be set: {error.strerror}")


def make_folders(root: LayerRoot, path: str, settings: Settings) -> list[str]:
    """Makes a folder and those above it where they are missing; returns where the new ones lie on this machine.

    Raises:
        NotADirectoryError: if something on the way is no folder.
    """
    made, here = [], ""
    for part in path.strip("/").split("/"):
        here += "/" + part
        entry = root.lstat(here) if part else None
        if part and entry is None:
            real = root.make_folder(here, settings.folder_mode & 0o777)
            settings.stamp(real)
            made.append(real)
        elif entry is not None and not entry.is_dir:
            raise NotADirectoryError(20, "not a directory", here)
    return made

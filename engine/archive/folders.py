"""Finding folders below a root without ever leaving it, by open descriptors.

Symbolic links on the way are followed inside the root, as if it were `/`; nothing is opened by a longer path than one
component, and never through a link. So whatever an archive has written before, the next member lands inside.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from engine.archive.errors import ArchiveError
from engine.archive.overlay import is_opaque, is_whiteout, set_opaque
from engine.tree import MAX_LINKS
from engine.values import frozen

if TYPE_CHECKING:
    from engine.tree import Tree

_MAX_OPEN = 64
_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Folder:
    """An open folder: `path` from the root without links (`""` is the root), `fd` an `O_PATH` descriptor.

    `over`: whether what lies below, in lower layers, shows through.
    """

    path: str
    fd: int
    over: bool


class Folders:
    """The folders below one root, opened as they are needed and made where they are missing.

    `lower` is the tree over which the root will lie as a layer's folder: its links are followed as well. `layer` says
    that the root is a layer's folder (whiteouts and opaque folders mean something).
    """

    def __init__(self, root: int, *, layer: bool, lower: Tree | None = None, at: str = "/") -> None:
        self.root = Folder("", root, lower is not None)
        self.implicit: dict[str, None] = {}
        self._layer = layer
        self._lower = lower
        self._at = at.rstrip("/")
        self._named: dict[str, Folder] = {}
        self._real: dict[str, Folder] = {}

    def find(self, path: str) -> Folder:
        """The folder that a member's parent path means; made with mode 0755 where it is missing.

        Raises ArchiveError if something on the way is no folder or the links go in circles, and OSError.
        """
        found = self._named.get(path)
        if found is not None:
            return found
        found = self._walk(path)
        self._named[path] = found
        return found

    def trim(self) -> None:
        """Between two members: closes what was found so far, if it is much. All folders found before are void then."""
        if len(self._real) > _MAX_OPEN:
            self.forget()

    def forget(self) -> None:
        """Closes all folders but the root."""
        for folder in self._real.values():
            os.close(folder.fd)
        self._real.clear()
        self._named.clear()

    def forget_names(self) -> None:
        """After a symbolic link was replaced: paths that led through it may mean something else."""
        self._named.clear()

    def forget_below(self, path: str) -> None:
        """Before the folder at `path` (without links) and all in it go away."""
        self.forget_names()
        for known in [p for p in self._real if p == path or p.startswith(path + "/")]:
            os.close(self._real.pop(known).fd)
        for made in [p for p in self.implicit if p == path or p.startswith(path + "/")]:
            del self.implicit[made]

    def reopen(self, path: str) -> int:
        """A readable descriptor of a folder by its path without links, to be closed by the caller. Raises OSError."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        parent, _, name = path.rpartition("/")
        if not name:
            return os.open(".", flags, dir_fd=self.root.fd)
        fd = os.dup(self.root.fd)
        for part in filter(None, parent.split("/")):
            fd, previous = os.open(part, _FLAGS, dir_fd=fd), fd
            os.close(previous)
        try:
            return os.open(name, flags, dir_fd=fd)
        finally:
            os.close(fd)

    def below(self, folder: Folder, name: str) -> int:
        """The type bits of what the layers below show under a name in a folder; 0 for nothing."""
        if self._lower is None or not folder.over:
            return 0
        entry = self._lower.lstat(f"{self._at}{_join(folder.path, name)}")
        return stat.S_IFMT(entry.mode) if entry else 0

    def _walk(self, path: str) -> Folder:
        if len(path) > 4096:
            raise ArchiveError(f"a path is too long: {path[:80]}…")
        here, rest, links = self.root, path.split("/")[::-1], 0
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part == "..":
                rest += here.path.split("/")[:-1][::-1]
                here = self.root
                continue
            step = self._enter(here, part, path)
            if isinstance(step, Folder):
                here = step
                continue
            links += 1
            if links > MAX_LINKS:
                raise ArchiveError(f"too many symbolic links on the way to {path!r}")
            if step.startswith("/"):
                here = self.root
            rest += step.split("/")[::-1]
        return here

    def _enter(self, parent: Folder, name: str, wanted: str) -> Folder | str:
        """The folder of that name, or the link that is there instead."""
        path = _join(parent.path, name)
        known = self._real.get(path)
        if known is not None:
            return known
        try:
            fd = os.open(name, _FLAGS, dir_fd=parent.fd)
        except FileNotFoundError:
            lower = self.below(parent, name)
            if stat.S_ISLNK(lower):
                assert self._lower is not None
                return self._lower.readlink(self._at + path)
            if lower and not stat.S_ISDIR(lower):
                raise ArchiveError(f"{wanted!r} leads through {path!r}, which is no folder") from None
            return self._make(parent, name, path, over=bool(lower))
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            status = os.lstat(name, dir_fd=parent.fd)
            if stat.S_ISLNK(status.st_mode):
                return os.readlink(name, dir_fd=parent.fd)
            if self._layer and is_whiteout(status):
                os.unlink(name, dir_fd=parent.fd)
                made = self._make(parent, name, path, over=False)
                set_opaque(f"/proc/self/fd/{made.fd}")
                return made
            raise ArchiveError(f"{wanted!r} leads through {path!r}, which is no folder") from None
        over = parent.over and stat.S_ISDIR(self.below(parent, name)) and not is_opaque(f"/proc/self/fd/{fd}")
        return self._keep(Folder(path, fd, over))

    def _make(self, parent: Folder, name: str, path: str, *, over: bool) -> Folder:
        os.mkdir(name, 0o755, dir_fd=parent.fd)
        os.chmod(name, 0o755, dir_fd=parent.fd)
        fd = os.open(name, _FLAGS, dir_fd=parent.fd)
        self.implicit[path] = None
        return self._keep(Folder(path, fd, over))

    def _keep(self, folder: Folder) -> Folder:
        self._real[folder.path] = folder
        return folder


def _join(parent: str, name: str) -> str:
    return f"{parent}/{name}"

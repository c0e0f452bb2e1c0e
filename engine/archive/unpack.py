"""Unpacks archives that nobody should trust: image layers into layer folders, and what ADD extracts into a tree.

No member lands outside the target, whatever its name, its links or what was unpacked before it: names are clamped at
the target as by a chroot, and every component is opened on its own, without following links (see `folders`). Folders
get their modes and times last, so that read-only ones can be filled.
Source: the OCI image specification, layer.md, and what containerd (layers) and moby's go-archive (ADD) do.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.archive.errors import ArchiveError, disk_error
from engine.archive.folders import Folder, Folders
from engine.archive.overlay import PRIVATE_PREFIXES, make_whiteout, set_opaque
from engine.archive.tar_reader import (
    BLOCK_DEVICE,
    CHAR,
    FIFO,
    FILE,
    FOLDER,
    LINK,
    SYMLINK,
    Member,
    Readable,
    TarReader,
)
from engine.values import frozen

if TYPE_CHECKING:
    from engine.tree import Tree

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_META = ".wh..wh."
_Maker = Callable[[], None]
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Unpacked:
    """What was unpacked: how many members, and bytes of content.

    `implicit` are the folders that the archive has files in but does not mention, as `/a/b`, parents first (`/` is the
    target itself). They have mode 0755 and, in image layers, the time 0; who knows the layers below copies the metadata
    from there.
    `unowned` and `skipped` count the members whose owner or device node this user may not make.
    """

    members: int
    size: int
    implicit: tuple[str, ...]
    unowned: int = 0
    skipped: int = 0


def unpack_layer(stream: Readable | BinaryIO, target: Path) -> Unpacked:
    """Unpacks an image layer's tar (not compressed) into an empty folder, in overlayfs form; reads it to its end.

    Raises:
        ArchiveError: if the archive is broken or impossible, or the disk would not take it. `target` then holds
            rubbish that the caller throws away.
    """
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _LayerUnpacker(Folders(root, layer=True)).run(stream)
    finally:
        os.close(root)


def extract(
    stream: Readable | BinaryIO,
    target: Path,
    *,
    owner: tuple[int, int] | None = None,
    lower: Tree | None = None,
    at: str = "/",
) -> Unpacked:
    """Extracts a tar (not compressed) into a folder as ADD does: what is there is replaced, folders are merged.

    Names with `.wh.` are ordinary files. `owner` replaces all owners. Where `target` is a folder inside a layer's
    folder, `lower` is the tree below that layer and `at` the folder's path in it: links there are followed, and folders
    that are only there count as implicit ones.

    Raises:
        ArchiveError: as `unpack_layer`.
    """
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folders = Folders(root, layer=lower is not None, lower=lower, at=at)
        return _Unpacker(folders, owner=owner).run(stream)
    finally:
        os.close(root)


class _Unpacker:
    """One run of unpacking, in the plain form."""

    root_counts = False
    """Whether a member `./` sets the target's own metadata."""

    def __init__(self, folders: Folders, owner: tuple[int, int] | None = None) -> None:
        self.folders = folders
        self._owner = owner
        self._finish: dict[str, Member] = {}
        self._members = self._size = self._unowned = self._skipped = 0

    def run(self, stream: Readable | BinaryIO) -> Unpacked:
        reader = TarReader(stream)
        doing = "unpacking"
        try:
            for member in reader:
                doing = f"unpacking {member.name!r}"
                self._members += 1
                self._one(member, reader)
            reader.drain()
            doing = "finishing folders"
            implicit = [path for path in self.folders.implicit if path not in self._finish]
            self._finish_folders(implicit)
        except OSError as error:
            raise disk_error(error, doing) from error
        except RecursionError:
            raise ArchiveError(f"{doing}: folders are nested too deeply") from None
        finally:
            self.folders.forget()
        root = ("/",) if self.root_counts and "" not in self._finish else ()
        return Unpacked(self._members, self._size, (*root, *sorted(implicit)), self._unowned, self._skipped)

    def _one(self, member: Member, reader: TarReader) -> None:
        parent, _, name = _cleaned(member.name).rpartition("/")
        if not name:
            if member.kind == FOLDER and self.root_counts:
                self._finish[""] = member
            return
        self.folders.trim()
        folder = self.folders.find(parent)
        if not self.mark(folder, name):
            self._make(folder, name, member, reader)

    def mark(self, folder: Folder, name: str) -> bool:
        """Whether the name was no file but a mark, now made."""
        return False

    def _make(self, folder: Folder, name: str, member: Member, reader: TarReader) -> None:
        kind = member.kind
        if kind == FILE:
            self._write_file(folder, name, member, reader)
        elif kind == FOLDER:
            self._make_folder(folder, name, member)
        elif kind == SYMLINK:
            self._fresh(folder, name, lambda: os.symlink(member.link, name, dir_fd=folder.fd))
            self._describe(folder, name, member)
        elif kind == LINK:
            self._link(folder, name, member)
        elif kind in (CHAR, BLOCK_DEVICE, FIFO):
            self._make_node(folder, name, member)
        else:
            raise ArchiveError(f"{member.name!r} is of a kind that cannot be unpacked ({kind.decode('latin-1')!r})")

    def _write_file(self, folder: Folder, name: str, member: Member, reader: TarReader) -> None:
        try:
            fd = os.open(name, _NEW, 0o600, dir_fd=folder.fd)
        except FileExistsError:
            self._clear(folder, name)
            fd = os.open(name, _NEW, 0o600, dir_fd=folder.fd)
        try:
            if member.ranges is not None:
                _write_ranges(fd, member, reader)
            elif member.size:
                for piece in reader.data():
                    _write_all(fd, piece)
            self._size += member.size
            self._own(fd, member)
            # Changing the owner takes setuid bits away, so the mode comes after it; writing took capabilities away.
            os.fchmod(fd, member.mode)
            if member.xattrs:
                _set_xattrs(fd, member)
            os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
        finally:
            os.close(fd)

    def _make_folder(self, folder: Folder, name: str, member: Member) -> None:
        path = f"{folder.path}/{name}"
        try:
            os.mkdir(name, 0o700, dir_fd=folder.fd)
        except FileExistsError:
            status = os.lstat(name, dir_fd=folder.fd)
            if not stat.S_ISDIR(status.st_mode):
                self._clear(folder, name)
                os.mkdir(name, 0o700, dir_fd=folder.fd)
                self.replaced(folder, name)
        self._finish[path] = member

    def replaced(self, folder: Folder, name: str) -> None:
        """A folder has taken the place of something else, which in a layer hid what lies below."""
        if folder.over:
            self._seal(folder, name)

    def _seal(self, folder: Folder, name: str) -> None:
        set_opaque(f"/proc/self/fd/{folder.fd}/{name}")

    def _link(self, folder: Folder, name: str, member: Member) -> None:
        parent, _, base = _cleaned(member.link).rpartition("/")
        if self.folders.find(parent).path == folder.path and base == name:
            return

        def link() -> None:
            # Looked up anew each time: clearing the name may have taken the folder away.
            source = self.folders.find(parent).fd
            os.link(base, name, src_dir_fd=source, dst_dir_fd=folder.fd, follow_symlinks=False)

        try:
            self._fresh(folder, name, link)
        except FileNotFoundError:
            raise ArchiveError(f"{member.name!r} is a hard link to {member.link!r}, which is not there") from None
        # What the link's own header says holds for the file under all its names, as with the peer. Where that is
        # nothing new, the file is left alone: setting an owner, be it the same, takes capabilities away.
        status = os.lstat(name, dir_fd=folder.fd)
        found = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
        if found != (*(self._owner or (member.uid, member.gid)), member.mode) or status.st_mtime_ns != member.mtime_ns:
            self._describe(folder, name, member)

    def _make_node(self, folder: Folder, name: str, member: Member) -> None:
        types = {CHAR: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}
        device = 0 if member.kind == FIFO else os.makedev(member.major, member.minor)
        try:
            self._fresh(folder, name, lambda: os.mknod(name, types[member.kind] | 0o600, device, dir_fd=folder.fd))
        except PermissionError:  # device nodes need real root
            self._skipped += 1
            return
        self._describe(folder, name, member)

    def _fresh(self, folder: Folder, name: str, make: _Maker) -> None:
        try:
            make()
        except FileExistsError:
            self._clear(folder, name)
            make()

    def _clear(self, folder: Folder, name: str) -> None:
        """Takes away what has the name: the last member of a name wins."""
        status = os.lstat(name, dir_fd=folder.fd)
        if stat.S_ISDIR(status.st_mode):
            self.folders.forget_below(f"{folder.path}/{name}")
            for path in [p for p in self._finish if p.startswith(f"{folder.path}/{name}/")]:
                del self._finish[path]
            self._finish.pop(f"{folder.path}/{name}", None)
            shutil.rmtree(name, dir_fd=folder.fd)
            return
        os.unlink(name, dir_fd=folder.fd)
        if stat.S_ISLNK(status.st_mode):
            self.folders.forget_names()

    def _describe(self, folder: Folder, name: str, member: Member) -> None:
        """Metadata of what cannot be opened. A symbolic link's mode means nothing and cannot be set."""
        self._own(name, member, folder.fd)
        if not stat.S_ISLNK(os.lstat(name, dir_fd=folder.fd).st_mode):
            os.chmod(name, member.mode, dir_fd=folder.fd)
        if member.xattrs:
            _set_xattrs(f"/proc/self/fd/{folder.fd}/{name}", member)
        os.utime(name, ns=(member.mtime_ns, member.mtime_ns), dir_fd=folder.fd, follow_symlinks=False)

    def _own(self, at: int | str, member: Member, folder: int | None = None) -> None:
        """Gives a member its owner: what is open as `at`, or has that name in a folder and is no link to follow."""
        uid, gid = self._owner or (member.uid, member.gid)
        try:
            os.chown(at, uid, gid, dir_fd=folder, follow_symlinks=folder is None)
        except OSError as error:
            # EPERM: not root. EINVAL: an owner that this user namespace has no number for.
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            self._unowned += 1

    def _finish_folders(self, implicit: list[str]) -> None:
        """Deepest first: a folder whose mode shuts it must not be needed again."""
        for path in sorted({*self._finish, *implicit}, reverse=True):
            member = self._finish.get(path)
            fd = self.folders.reopen(path)
            try:
                if member is None:
                    self.finish_implicit(fd)
                    continue
                self._own(fd, member)
                os.fchmod(fd, member.mode)
                if member.xattrs:
                    _set_xattrs(fd, member)
                os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
            finally:
                os.close(fd)

    def finish_implicit(self, fd: int) -> None:
        """A folder that the archive only passes through. With the peer it is root's, whatever the owner, and new."""


class _LayerUnpacker(_Unpacker):
    """One run of unpacking an image layer."""

    root_counts = True

    def finish_implicit(self, fd: int) -> None:
        os.utime(fd, ns=(0, 0))

    def mark(self, folder: Folder, name: str) -> bool:
        if not name.startswith(WHITEOUT):
            return False
        if name == OPAQUE:
            set_opaque(f"/proc/self/fd/{folder.fd}")
        elif not name.startswith(_META):  # the rest of aufs' bookkeeping is of no use to others
            self._whiteout(folder, name[len(WHITEOUT) :])
        return True

    def _whiteout(self, folder: Folder, hidden: str) -> None:
        if hidden in ("", ".", ".."):
            raise ArchiveError(f"{folder.path}/{WHITEOUT}{hidden} hides no possible name")
        try:
            make_whiteout(hidden, dir_fd=folder.fd)
        except FileExistsError:
            # The layer has something new of this name, in place of what lies below: only a folder must say so.
            status = os.lstat(hidden, dir_fd=folder.fd)
            if stat.S_ISDIR(status.st_mode):
                self._seal(folder, hidden)

    def replaced(self, folder: Folder, name: str) -> None:
        self._seal(folder, name)


def _cleaned(name: str) -> str:
    """A name as a path below the root, without dots; `..` stops at the top."""
    if "/." not in name and "//" not in name and name[:1] not in (".", "/") and name[-1:] != "/":
        return name
    return posixpath.normpath("/" + name).lstrip("/")


def _write_all(fd: int, data: memoryview) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)


def _write_ranges(fd: int, member: Member, reader: TarReader) -> None:
    os.ftruncate(fd, member.real_size)
    ranges = iter(member.ranges or ())
    room = 0
    for piece in reader.data():
        while piece:
            while not room:
                offset, room = next(ranges)
                os.lseek(fd, offset, os.SEEK_SET)
            _write_all(fd, piece[:room])
            taken = min(room, len(piece))
            piece, room = piece[taken:], room - taken


def _set_xattrs(at: int | str, member: Member) -> None:
    """Sets extended attributes, but for those that this file system or user cannot have."""
    for name, value in member.xattrs.items():
        if name.startswith(PRIVATE_PREFIXES):
            continue
        try:
            if isinstance(at, int):
                os.setxattr(at, name, value)
            else:
                os.setxattr(at, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise

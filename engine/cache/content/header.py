"""The digest of one entry of a tree: what it is, who owns it, and for a file what is in it. No name, no times.

It is the sha256 over the fields of the entry's tar header, as names and values put together, then the extended
attributes, then the content (Docker's "tarsum version 1" without the modification time).

Unlike there, access control lists count: a copy takes them along, so a hit without them would be wrong.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping

from engine.tree import Entry, Tree

EMPTY = "sha256:" + hashlib.sha256(b"").hexdigest()
"""The digest of nothing: of an empty file system, and of a pattern that matches nothing."""

_CHUNK = 1 << 20
_COUNTING = frozenset({"security.capability", "system.posix_acl_access", "system.posix_acl_default"})
_TYPES = {
    stat.S_IFDIR: "5",
    stat.S_IFLNK: "2",
    stat.S_IFCHR: "3",
    stat.S_IFBLK: "4",
    stat.S_IFIFO: "6",
}


def entry_digest(tree: Tree, path: str, entry: Entry, went: Callable[[int], object] | None = None) -> str:
    """The digest of an entry; of a folder without what is in it. Raises OSError.

    `went` is told of each part of a file how many bytes it has.
    """
    link = tree.readlink(path) if entry.is_link else ""
    if not entry.is_file:
        return "sha256:" + hashlib.sha256(header(entry, link, tree.xattrs(path))).hexdigest()
    digest = hashlib.sha256(header(entry, link, tree.xattrs(path)))
    with tree.open(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if went is not None:
                went(len(chunk))
    return "sha256:" + digest.hexdigest()


def header(entry: Entry, link: str, xattrs: Mapping[str, bytes]) -> bytes:
    """What is hashed of an entry before its content."""
    kind = stat.S_IFMT(entry.mode)
    mode = 0o777 if entry.is_link else entry.mode & 0o7777
    device = entry.rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
    text = (
        f"namemode{mode}uid{entry.uid}gid{entry.gid}size{entry.size if entry.is_file else 0}"
        f"typeflag{_TYPES.get(kind, '0')}linkname"
    )
    rest = f"unamegnamedevmajor{os.major(device)}devminor{os.minor(device)}"
    parts = [text.encode(), os.fsencode(link), rest.encode()]
    for name in sorted(filter(_counts, xattrs), key=os.fsencode):
        parts += [os.fsencode(name), xattrs[name]]
    return b"".join(parts)


def _counts(name: str) -> bool:
    return name in _COUNTING or not name.startswith(("security.", "system."))

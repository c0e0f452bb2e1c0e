"""ADD of a local archive: unpacked where it would have been copied to. Anything that is no tar archive is copied."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from engine.ops.file.layer_root import LayerRoot
from engine.ops.file.paths import absolute, source_path
from engine.ops.file.settings import FOLDER_MODE, Settings, make_folders
from engine.tree import Tree, resolve
from engine.turns import out_of_turn


def unpack(source: Tree, path: str, root: LayerRoot, dest: str, settings: Settings) -> bool:
    """Unpacks a file if it is a tar archive, compressed or not; tells whether it was.

    Raises:
        ArchiveError: if it breaks off, or holds what no archive may.
    """
    from engine.archive.compression import decompressor
    from engine.archive.unpack import extract

    real = source_path(source, path, follow=True)
    entry = source.lstat(real)
    if entry is None or not entry.is_file or not _is_archive(source, real):
        return False
    target = resolve(root, absolute(dest))
    make_folders(root, target, replace(settings, folder_mode=FOLDER_MODE))
    folder = root.take_up(target)
    owner = (settings.owner.uid, settings.owner.gid) if settings.owner else None
    lower = None if root.covers(target) else root.base
    with source.open(real) as file, out_of_turn():
        unpacked = extract(decompressor(file), Path(folder), owner=owner, lower=lower, at=target)
    root.forget(target)
    if lower is not None:
        _dress(root, target, unpacked.implicit)
    for what, count in (("owners", unpacked.unowned), ("device nodes", unpacked.skipped)):
        if count:
            settings.warn(f"{path}: {count} {what} could not be made by this user")
    return True


def _is_archive(tree: Tree, path: str) -> bool:
    """Whether a file begins as a tar archive does. One that breaks off later is still one, and cannot be unpacked."""
    from engine.archive.compression import first_bytes
    from engine.archive.tar_reader import BLOCK, is_header

    with tree.open(path) as file:
        start = first_bytes(file, BLOCK)
    return len(start) == BLOCK and is_header(start)


def _dress(root: LayerRoot, target: str, implicit: Iterable[str]) -> None:
    """Folders that were only passed through look as they do below; their times tell if something was made in them."""
    for path in sorted((absolute(target + path) for path in implicit), reverse=True):
        below = root.base.lstat(path)
        real = root.real(path)
        if below is None or not below.is_dir:
            os.utime(real)
            continue
        os.chown(real, below.uid, below.gid)
        os.chmod(real, stat.S_IMODE(below.mode))
        for name, value in root.base.xattrs(path).items():
            os.setxattr(real, name, value)
        if _gained_something(root, path):
            os.utime(real)
        else:
            os.utime(real, ns=(below.mtime_ns, below.mtime_ns))


def _gained_something(root: LayerRoot, path: str) -> bool:
    with os.scandir(root.real(path)) as entries:
        for entry in entries:
            below = root.base.lstat(f"{path.rstrip('/')}/{entry.name}")
            if below is None or not below.is_dir or not entry.is_dir(follow_symlinks=False):
                return True
    return False

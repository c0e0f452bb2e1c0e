"""The file actions, done on a file system. Source of the semantics: `solver/llbsolver/file/backend.go` of BuildKit."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable

from engine.cache.content.errors import missing
from engine.errors import StepError
from engine.llb.ops import KEEP, ChownOpt, Copy, FileAction, MkDir, MkFile, Rm, Symlink
from engine.ops.file.copier import Checkpoint, Copier
from engine.ops.file.layer_root import LayerRoot
from engine.ops.file.modes import KEEP_MODE, Mode, octal, symbolic
from engine.ops.file.ownership import find_owner
from engine.ops.file.paths import absolute, clean, matches, source_path
from engine.ops.file.settings import FOLDER_MODE, Settings, make_folders
from engine.ops.file.unpacking import unpack
from engine.tree import Tree, resolve
from engine.values import frozen, replace


@frozen
class Surroundings:
    """What an action sees: the tree behind each index, and whom to tell of what does not matter much."""

    tree_of: Callable[[int], Tree]
    warn: Callable[[str], None]
    checkpoint: Checkpoint


def perform(action: FileAction, root: LayerRoot, around: Surroundings) -> None:
    """Does one action.

    Raises:
        EngineError: if it cannot be done.
        OSError: if the file system says no.
    """
    if action.copy is not None:
        source = around.tree_of(action.secondary_input)
        _copy(action.copy, source, root, around, _settings(action.copy.owner, action.copy.timestamp, around))
    elif action.mkdir is not None:
        _mkdir(action.mkdir, root, _settings(action.mkdir.owner, action.mkdir.timestamp, around))
    elif action.mkfile is not None:
        _mkfile(action.mkfile, root, _settings(action.mkfile.owner, action.mkfile.timestamp, around))
    elif action.symlink is not None:
        _symlink(action.symlink, root, _settings(action.symlink.owner, action.symlink.timestamp, around))
    elif action.rm is not None:
        _rm(action.rm, root)
    else:
        raise StepError("a file action that says nothing to do")


def _settings(owner: ChownOpt | None, timestamp: int, around: Surroundings) -> Settings:
    return Settings(find_owner(owner, around.tree_of), timestamp, warn=around.warn)


def _mkdir(action: MkDir, root: LayerRoot, settings: Settings) -> None:
    path = resolve(root, absolute(action.path))
    if action.make_parents:
        make_folders(root, path, replace(settings, folder_mode=action.mode))
    elif root.lstat(path) is None:
        _require_folder(root, posixpath.dirname(path))
        settings.stamp(root.make_folder(path, action.mode & 0o777))


def _mkfile(action: MkFile, root: LayerRoot, settings: Settings) -> None:
    path = resolve(root, absolute(action.path))
    there = root.lstat(path)
    if there is None:
        _require_folder(root, posixpath.dirname(path))
    elif not there.is_file:
        raise StepError(f"cannot write {path}: it is there and no regular file")
    xattrs = dict(root.xattrs(path)) if there is not None else {}
    root.unlink_above(path)
    fd = root.make_file(path)
    with open(fd, "wb") as file:
        file.write(action.data)
        file.flush()
        if there is None:
            os.chmod(fd, action.mode & 0o777)
        else:  # what is written over keeps its owner and mode
            os.chown(fd, there.uid, there.gid)
            os.chmod(fd, stat.S_IMODE(there.mode))
        for name, value in xattrs.items():
            os.setxattr(fd, name, value)
    settings.stamp(root.real(path))


def _symlink(action: Symlink, root: LayerRoot, settings: Settings) -> None:
    path = resolve(root, absolute(action.newpath))
    if root.lstat(path) is not None:
        raise StepError(f"cannot make the symbolic link {path}: it is there already")
    _require_folder(root, posixpath.dirname(path))
    settings.stamp(root.make_link(path, action.oldpath))


def _rm(action: Rm, root: LayerRoot) -> None:
    paths = matches(root, action.path, follow=False) if action.allow_wildcard else [action.path]
    for each in paths:
        path = source_path(root, each, follow=False)
        if path == "/":
            raise StepError("cannot remove the top folder")
        if not action.allow_not_found and root.lstat(path) is None:
            raise missing(root, path)
        root.remove(path)


def _copy(action: Copy, source: Tree, root: LayerRoot, around: Surroundings, settings: Settings) -> None:
    settings = replace(settings, mode=_mode(action), folder_mode=FOLDER_MODE if action.mode_str else _octal(action))
    dest = clean(action.dest)
    if not action.create_dest_path:
        _require_folder(root, posixpath.dirname(resolve(root, absolute(action.dest))))
    sources = [clean(action.src)]
    if action.allow_wildcard:
        sources = matches(source, sources[0], follow=action.follow_symlink)
        if not sources:
            if action.allow_empty_wildcard:
                around.warn(f"nothing matches {action.src}: nothing is copied")
                return
            raise missing(source, absolute(action.src))
    copier = Copier(
        source,
        root,
        settings,
        around.checkpoint,
        contents_only=action.dir_copy_contents,
        follow_links=action.follow_symlink,
        replace=action.always_replace_existing_dest_paths,
        include=action.include_patterns,
        exclude=action.exclude_patterns,
    )
    for each in sources:
        if not (action.attempt_unpack and unpack(source, each, root, dest, settings)):
            copier.copy(each, dest)


def _mode(action: Copy) -> Mode:
    if action.mode_str:
        return symbolic(action.mode_str)
    return KEEP_MODE if action.mode == KEEP else octal(action.mode)


def _octal(action: Copy) -> int:
    return FOLDER_MODE if action.mode == KEEP else action.mode


def _require_folder(root: LayerRoot, path: str) -> None:
    entry = root.lstat(path)
    if entry is None:
        raise missing(root, path)
    if not entry.is_dir:
        raise StepError(f"{path} is not a folder")

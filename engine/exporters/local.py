"""The files of a result in a folder of this machine: `type=local`.

All files are written beside the folder first and then moved into it, so a build that fails or is cut off while it
writes leaves the folder as it was. What is there already is replaced name by name; links in it are never followed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from engine.errors import ExportError
from engine.exporters.attributes import Epoch, check_known, did_you_mean, epoch_of, flag
from engine.exporters.beside import MODE, Beside, statements_beside
from engine.exporters.contract import Evidence, Export, ExportResult, TargetImage
from engine.exporters.destination import check_folder, explained
from engine.exporters.evidence import of_files, of_names
from engine.exporters.files import platform_trees, walk
from engine.tree import Entry, Tree
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext

_MODES = ("copy", "delete")
_PIECE = 4 << 20


@frozen
class LocalExporter:
    """Copies all files into a folder; they belong to this user. `delete`: what else is in the folder goes away."""

    dest: Path
    split: bool | None
    delete: bool
    epoch: Epoch
    prefix: str = ""
    """Goes before the names of attestations."""

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError."""
        attributes = export.attributes
        check_known(export, ("dest", "platform-split", "mode", "source-date-epoch", "attestation-prefix"))
        if not attributes.get("dest") or attributes["dest"] == "-":
            raise ExportError("an output of type local needs a folder", hint="set dest=FOLDER")
        mode = attributes.get("mode") or "copy"
        if mode not in _MODES:
            raise ExportError(f'an output of type local has no mode "{mode}"', hint=did_you_mean(mode, _MODES))
        split = flag(attributes, "platform-split") if "platform-split" in attributes else None
        dest = Path(attributes["dest"]).absolute()
        check_folder(str(dest))
        if mode == "delete":
            _check_deletable(dest)
        return cls(dest, split, mode == "delete", epoch_of(attributes), attributes.get("attestation-prefix", ""))

    @property
    def title(self) -> str:
        """What progress shows."""
        return "exporting to client directory"

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Writes the files."""
        import trio

        trees = await platform_trees(target, self.split, context)
        epoch = self.epoch.over(target.epoch)
        context.progress("copying files", 0, 0, False)
        beside = await statements_beside(target, trees, self.prefix, context)
        result = await trio.to_thread.run_sync(self._write, trees, beside, epoch)
        context.progress("copying files", 0, 0, True)
        return result

    def _write(self, trees: Sequence[tuple[str, Tree]], beside: Sequence[Beside], epoch: int | None) -> ExportResult:
        with explained(str(self.dest)):
            check_folder(str(self.dest))
            self.dest.parent.mkdir(parents=True, exist_ok=True)
            stage = self.dest.parent / f".{self.dest.name[:200]}.{secrets.token_hex(4)}"
            stage.mkdir()
            try:
                seen: dict[str, str] = {}
                for number, (folder, tree) in enumerate(trees):
                    _copy_tree(tree, stage, folder, epoch, seen, f"platform {number + 1}")
                    _add_beside(stage / folder, beside[number], epoch)
                    if folder and epoch is not None:
                        os.utime(stage / folder, (epoch, epoch))
                made = [str(self.dest) + path[len(str(stage)) :] for path in _everything(stage)]
                size = _size_of(seen)
                self._move(stage)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
            return ExportResult({}, size, tuple(self._evidence(made)))

    def _evidence(self, made: Sequence[str]) -> list[Evidence]:
        found = of_files(made)
        if self.delete:
            found += of_names(str(folder) for folder, _, _ in os.walk(self.dest))
        return found

    def _move(self, stage: Path) -> None:
        if not self.dest.is_dir():
            stage.rename(self.dest)
            return
        _merge(str(stage), str(self.dest), delete=self.delete)


def _add_beside(folder: Path, files: Beside, epoch: int | None) -> None:
    for name, data in files.items():
        path = folder / name
        with open(path, "xb", opener=lambda path, flags: os.open(path, flags, MODE)) as file:
            file.write(data)
        if epoch is not None:
            os.utime(path, (epoch, epoch))


def _size_of(paths: Iterable[str]) -> int:
    """Bytes of some files; one with several names counts once."""
    found = {(s.st_dev, s.st_ino): s.st_size for s in map(os.lstat, filter(os.path.lexists, paths))}
    return sum(found.values())


def _everything(folder: Path) -> Iterator[str]:
    """A folder and all that is in it."""
    for path, folders, files in os.walk(folder):
        yield path
        yield from (f"{path}/{name}" for name in files)
        yield from (f"{path}/{name}" for name in folders if os.path.islink(f"{path}/{name}"))


def _check_deletable(dest: Path) -> None:
    """Refuses to empty a folder that nobody can mean: one that holds the working folder or a home."""
    real = dest.resolve()
    for kept, name in ((Path.cwd(), "the working folder"), (Path.home(), "the home folder")):
        if kept.resolve().is_relative_to(real):
            raise ExportError(
                f"mode=delete would empty {dest}, and {name} with it", hint="choose a folder of its own as dest"
            )


def _copy_tree(tree: Tree, stage: Path, folder: str, epoch: int | None, seen: dict[str, str], platform: str) -> None:
    """Copies a tree into the stage. Raises ExportError where two platforms have the same file and are not split."""
    top = f"{stage}/{folder}" if folder else str(stage)
    os.makedirs(top, exist_ok=True)
    links: dict[tuple[int, int], str] = {}
    folders: list[tuple[str, Entry]] = []
    for path, entry in walk(tree, epoch):
        target = top + path
        if entry.is_dir:
            os.makedirs(target, exist_ok=True)
            folders.append((target, entry))
            continue
        if other := seen.get(target):
            raise ExportError(
                f"{path[1:]} of {other} and of {platform} would be one file", hint="leave out platform-split=false"
            )
        seen[target] = platform
        first = links.setdefault(entry.identity, target) if entry.links > 1 else target
        if first != target:
            os.link(first, target, follow_symlinks=False)
        else:
            _copy_entry(tree, path, entry, target)
    for target, entry in reversed(folders):
        os.chmod(target, stat.S_IMODE(entry.mode))
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))


def _copy_entry(tree: Tree, path: str, entry: Entry, target: str) -> None:
    if entry.is_link:
        os.symlink(tree.readlink(path), target)
    elif entry.is_file:
        with tree.open(path) as source, open(target, "xb", buffering=0) as file:
            shutil.copyfileobj(source, file, _PIECE)
        os.chmod(target, stat.S_IMODE(entry.mode))
    elif stat.S_ISFIFO(entry.mode):
        os.mkfifo(target, stat.S_IMODE(entry.mode))
    elif not stat.S_ISSOCK(entry.mode):
        with suppress(PermissionError):  # device nodes need root; they are of no use to anybody else
            os.mknod(target, entry.mode, entry.rdev)
    if os.path.lexists(target):
        for name, value in tree.xattrs(path).items():
            with suppress(OSError):  # not every file system has them
                os.setxattr(target, name, value, follow_symlinks=False)
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


def _merge(source: str, dest: str, *, delete: bool) -> None:
    """Moves what is in one folder into another, file by file."""
    names = set(os.listdir(source))
    if delete:
        for name in set(os.listdir(dest)) - names:
            _remove(f"{dest}/{name}")
    for name in sorted(names):
        new, old = f"{source}/{name}", f"{dest}/{name}"
        status = os.lstat(new)
        if not stat.S_ISDIR(status.st_mode):
            if os.path.isdir(old) and not os.path.islink(old):
                shutil.rmtree(old)
            os.replace(new, old)
            continue
        if os.path.islink(old) or not os.path.isdir(old):
            if os.path.lexists(old):
                os.unlink(old)
            os.rename(new, old)
            continue
        os.chmod(new, 0o700)
        _merge(new, old, delete=delete)
        os.chmod(old, stat.S_IMODE(status.st_mode))
        os.utime(old, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)

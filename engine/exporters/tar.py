"""The files of a result as a plain tar: `type=tar`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from engine.archive.tar_reader import BLOCK_DEVICE, CHAR, FIFO, FILE, FOLDER, LINK, SYMLINK
from engine.archive.tar_writer import TarWriter
from engine.exporters.attributes import Epoch, check_known, epoch_of, flag
from engine.exporters.beside import MODE, Beside, statements_beside
from engine.exporters.contract import Export, ExportResult, TargetImage
from engine.exporters.destination import STDOUT, check_file, output_file, written_file
from engine.exporters.files import platform_trees, walk
from engine.tree import Entry, Tree
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext

_PIECE = 4 << 20
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFIFO: FIFO,
}


@frozen
class TarExporter:
    """Writes all files with owners, modes, attributes and hard links; several platforms into folders of their own."""

    dest: str
    split: bool | None
    epoch: Epoch
    prefix: str = ""
    """Goes before the names of attestations."""

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError."""
        attributes = export.attributes
        check_known(export, ("dest", "platform-split", "source-date-epoch", "attestation-prefix"))
        dest = attributes.get("dest") or STDOUT
        check_file(dest)
        split = flag(attributes, "platform-split") if "platform-split" in attributes else None
        return cls(dest, split, epoch_of(attributes), attributes.get("attestation-prefix", ""))

    @property
    def title(self) -> str:
        """What progress shows."""
        return "exporting to client tarball"

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Writes the archive."""
        import trio

        trees = await platform_trees(target, self.split, context)
        epoch = self.epoch.over(target.epoch)
        context.progress("writing tarball", 0, 0, False)
        beside = await statements_beside(target, trees, self.prefix, context)
        result = await trio.to_thread.run_sync(self._write, trees, beside, epoch)
        context.progress("writing tarball", 0, 0, True)
        return result

    def _write(self, trees: list[tuple[str, Tree]], beside: list[Beside], epoch: int | None) -> ExportResult:
        with output_file(self.dest) as output:
            writer = TarWriter(output)
            for (folder, tree), files in sorted(zip(trees, beside, strict=True), key=lambda item: item[0][0]):
                prefix = f"{folder}/" if folder else ""
                if folder:
                    writer.add(prefix, FOLDER, mode=0o755, mtime=epoch or 0)
                _add_tree(writer, tree, prefix, epoch, files)
            writer.close()
        return written_file(self.dest, {})


def _add_tree(writer: TarWriter, tree: Tree, prefix: str, epoch: int | None, beside: Beside) -> None:
    """Writes a tree, the files beside it at their place among its names."""
    links: dict[tuple[int, int], str] = {}
    waiting = sorted(beside, reverse=True)

    def add_beside(before: str | None) -> None:
        while waiting and (before is None or waiting[-1] < before):
            name = waiting.pop()
            data = beside[name]
            writer.add(prefix + name, FILE, mode=MODE, mtime=epoch or 0, size=len(data), data=[data])

    for path, entry in walk(tree, epoch):
        add_beside(path[1:].partition("/")[0])
        name = prefix + path[1:]
        kind = _KINDS.get(stat.S_IFMT(entry.mode))
        if kind is None:  # a socket
            continue
        first = links.setdefault(entry.identity, name) if entry.links > 1 and not entry.is_dir else name
        if first != name:
            kind = LINK
        xattrs = {} if entry.is_link else tree.xattrs(path)
        device = entry.rdev if kind in (CHAR, BLOCK_DEVICE) else 0
        size = entry.size if kind == FILE else 0
        writer.add(
            name + "/" if entry.is_dir else name,
            kind,
            mode=stat.S_IMODE(entry.mode),
            uid=entry.uid,
            gid=entry.gid,
            mtime=entry.mtime_ns // 1_000_000_000,
            link=first if kind == LINK else _target(tree, path, entry),
            major=os.major(device),
            minor=os.minor(device),
            records={f"SCHILY.xattr.{key}": value for key, value in xattrs.items()},
            size=size,
            data=_pieces(tree, path) if size else (),
        )
    add_beside(None)


def _target(tree: Tree, path: str, entry: Entry) -> str:
    return tree.readlink(path) if entry.is_link else ""


def _pieces(tree: Tree, path: str) -> Iterator[bytes]:
    with tree.open(path) as file:
        while piece := file.read(_PIECE):
            yield piece

"""An OCI archive as the goal of a copy: a layout folder beside it, which becomes a tar when all is there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from engine.archive.tar_reader import FOLDER
from engine.archive.tar_writer import TarWriter
from engine.exporters.destination import Output, explained, output_file
from engine.imagetools.copy import LayoutGoal

_PIECE = 1 << 20


@contextmanager
def archive_goal(path: Path, reference: str) -> Iterator[LayoutGoal]:
    """A goal for one image. The archive takes its place when the block ends well.

    Raises:
        ExportError: if it cannot be written.
        SourceError: if `reference` is no tag.
    """
    path = path.absolute()
    with explained(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".bakery-copy-", dir=path.parent)
    with folder as name:
        yield LayoutGoal(Path(name), reference)
        with output_file(str(path)) as output:
            _write(Path(name), output)


def _write(folder: Path, output: Output) -> None:
    """All files of a layout, the same bytes for the same image."""
    writer = TarWriter(output)
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir():
            writer.add(f"{name}/", FOLDER, mode=0o755)
            continue
        with path.open("rb") as file:
            mode = 0o644 if name.endswith(".json") else 0o444
            writer.add(name, mode=mode, size=path.stat().st_size, data=_pieces(file))
    writer.close()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece

"""Statements about a result that is made of files: files beside them, about each of them by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import ExportError
from engine.exporters.contract import PlatformImage, TargetImage
from engine.exporters.files import walk
from engine.tree import Tree

if TYPE_CHECKING:
    from engine.attestations.statement import Subject
    from engine.exporters.context import ExportContext

MODE = 0o600
_PIECE = 4 << 20

Beside = dict[str, bytes]
"""Further files of a platform, by name."""


async def statements_beside(
    target: TargetImage, trees: Sequence[tuple[str, Tree]], prefix: str, context: ExportContext
) -> list[Beside]:
    """For each platform the files that hold its statements; none where the target asks for none.

    `prefix` goes before their names; where several platforms are not split, the platform goes into them.

    Raises:
        ExportError: if two have the same name.
        SourceError, StateError: if the files cannot be read.
    """
    if not target.attests:
        return [{} for _ in trees]
    import trio

    from engine.attestations.making import make_statements

    found: list[Beside] = []
    for image, (folder, tree) in zip(target.platforms, trees, strict=True):
        statements = await make_statements(target, image, (), context, inline=False)
        subjects = await trio.to_thread.run_sync(_subjects, tree) if statements else []
        files: Beside = {}
        for statement in statements:
            name = _name(prefix + statement.filename, image, apart=bool(folder) or len(trees) == 1)
            if name in files:
                raise ExportError(f"two attestations would be written to {name}", hint="give one filename=")
            files[name] = statement.encoded(subjects, indent=2)
        found.append(files)
    return found


def _name(name: str, image: PlatformImage, *, apart: bool) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise ExportError(f'"{name}" cannot be the name of an attestation', hint="write a name without folders")
    if apart:
        return name
    base, dot, ending = name.rpartition(".")
    platform = image.id.replace("/", "_")
    return f"{base}.{platform}.{ending}" if dot else f"{name}.{platform}"


def _subjects(tree: Tree) -> list[Subject]:
    """All regular files with their digests."""
    found: list[Subject] = []
    for path, entry in walk(tree, None):
        if not entry.is_file:
            continue
        hashing = hashlib.sha256()
        with tree.open(path) as file:
            while piece := file.read(_PIECE):
                hashing.update(piece)
        found.append({"name": path[1:], "digest": {"sha256": hashing.hexdigest()}})
    return found

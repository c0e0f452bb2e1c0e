"""Images as OCI layouts and docker archives: one tar, or a folder that several targets may share.

Both forms of tar are OCI layouts, members in the order of their names and without times, as containerd writes them; one
for docker also has the `manifest.json` that `docker load` reads (format: moby's image spec v1.2 and later).
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from engine import oci
from engine.archive.tar_reader import FOLDER
from engine.archive.tar_writer import TarWriter
from engine.digests import Digest, hex_of
from engine.errors import ExportError
from engine.exporters.attributes import IMAGE_KEYS, ImageOptions, check_known, flag, image_options
from engine.exporters.contract import Evidence, Export, ExportResult, Kind, TargetImage
from engine.exporters.destination import STDOUT, Output, check_stdout, explained, output_file, whole_file, written_file
from engine.exporters.evidence import of_files
from engine.exporters.gotime import format_time
from engine.exporters.image_bundle import ImageBundle, make_bundle
from engine.exporters.layers import bring
from engine.sources.layers import LayerBlob
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_PIECE = 4 << 20


@frozen
class LayoutExporter:
    """`type=oci` and `type=docker`. `tar=false` makes or extends a layout folder."""

    type: str
    dest: str
    tar: bool
    options: ImageOptions

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError."""
        check_known(export, (*IMAGE_KEYS, "dest", "tar"), annotations=True)
        tar, dest = flag(export.attributes, "tar", default=True), export.attributes.get("dest", "")
        if not dest and not tar:
            raise ExportError(f"an output of type {export.type} with tar=false needs a dest", hint="set dest=FOLDER")
        if not dest and export.type == "docker":
            from engine.exporters.docker_engine import engine_address

            return cls(export.type, engine_address(), tar, image_options(export))
        if not dest and sys.stdout.isatty():
            raise ExportError(f"an output of type {export.type} needs a dest", hint="set dest=FILE.tar")
        check_stdout(dest or STDOUT)
        return cls(export.type, dest or STDOUT, tar, image_options(export))

    @property
    def _loads(self) -> bool:
        return self.dest.startswith(("unix://", "tcp://"))

    @property
    def title(self) -> str:
        """What progress shows."""
        return "loading into the Docker engine" if self._loads else f"exporting to {self.type} image format"

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Writes the archive or folder."""
        import trio

        names = [str(_reference(name)) for name in self.options.names]
        bundle = await make_bundle(target, self.options, context, single=self.type == "docker")
        for layer in bundle.layers:
            await bring(context, LayerBlob(layer.blob, layer.origin))
        root = _created(bundle.root, target, self.options)
        what = f"writing {self.dest}" if self.dest != STDOUT else "writing to standard output"
        context.progress(what, 0, 0, False)
        metadata = replace(bundle, root=root).metadata() | ({"image.name": ",".join(names)} if names else {})
        if self._loads:
            from engine.exporters.docker_engine import load

            await load(self.dest, lambda output: self._write_archive(output, bundle, root, names, context))
            result = ExportResult(metadata, bundle.size, tuple(_loaded(self.dest, bundle, names)))
        elif self.tar:
            await trio.to_thread.run_sync(self._write_tar, bundle, root, names, context)
            result = replace(written_file(self.dest, metadata), size=bundle.size)
        else:
            entries = _entries(root, names)
            evidence = await trio.to_thread.run_sync(_write_folder, Path(self.dest), bundle, entries, context)
            result = ExportResult(metadata, bundle.size, tuple(evidence))
        context.progress(what, 0, 0, True)
        return result

    def _write_tar(self, bundle: ImageBundle, root: oci.Descriptor, names: list[str], context: ExportContext) -> None:
        with output_file(self.dest) as output:
            self._write_archive(output, bundle, root, names, context)

    def _write_archive(
        self, output: Output, bundle: ImageBundle, root: oci.Descriptor, names: list[str], context: ExportContext
    ) -> None:
        files: dict[str, bytes] = {"oci-layout": _LAYOUT, "index.json": _index_with([], _entries(root, names))}
        if self.type == "docker":
            files["manifest.json"] = _docker_manifest(bundle, names)
        blobs: dict[str, oci.Descriptor | bytes] = {_blob_path(d): data for d, data in bundle.documents.items()}
        blobs |= {_blob_path(layer.blob.digest): layer.blob for layer in bundle.layers}
        writer = TarWriter(output)
        for folder in ("blobs/", "blobs/sha256/"):
            writer.add(folder, FOLDER, mode=0o755)
        for name, content in sorted({**blobs, **files}.items()):
            mode = 0o644 if name.endswith(".json") else 0o444
            if isinstance(content, bytes):
                writer.add(name, mode=mode, size=len(content), data=[content])
            else:
                writer.add(name, mode=mode, size=content.size, data=_pieces(context, content.digest))
        writer.close()


def _loaded(address: str, bundle: ImageBundle, names: list[str]) -> list[Evidence]:
    """An engine names an image by its config or, with containerd's store, by its manifest."""
    ids = f"{bundle.images[0].config.digest} {bundle.root.digest}"
    return [Evidence(Kind.LOADED, f"{address} {name}", ids) for name in names]


def _created(root: oci.Descriptor, target: TargetImage, options: ImageOptions) -> oci.Descriptor:
    epoch = options.epoch if options.epoch is not None else target.epoch
    created = {oci.CREATED: format_time(int(time.time()) if epoch is None else epoch)}
    return replace(root, annotations=created | dict(root.annotations))


def _entries(root: oci.Descriptor, names: list[str]) -> list[oci.Descriptor]:
    """The layout's entries: one for each name."""
    if not names:
        return [root]
    return [
        replace(root, annotations={**root.annotations, oci.CONTAINERD_NAME: name, oci.REF_NAME: _reference(name).tag})
        for name in names
    ]


def _reference(name: str) -> Any:
    from engine.registry.reference import parse

    return parse(name)


def _docker_manifest(bundle: ImageBundle, names: list[str]) -> bytes:
    image = bundle.images[0]
    return oci.go_json(
        [
            {
                "Config": _blob_path(image.config.digest),
                "RepoTags": [_familiar(name) for name in names] or None,
                "Layers": [_blob_path(layer.digest) for layer in image.manifest.layers],
            }
        ]
    )


def _familiar(name: str) -> str:
    """A name as docker shows it: without the registry that is meant anyhow."""
    return name.removeprefix("docker.io/").removeprefix("library/") if name.startswith("docker.io/") else name


def _blob_path(digest: Digest) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _pieces(context: ExportContext, digest: Digest) -> Iterator[bytes]:
    with context.blobs.open(digest) as source:
        while piece := source.read(_PIECE):
            yield piece


def _write_folder(
    folder: Path, bundle: ImageBundle, entries: list[oci.Descriptor], context: ExportContext
) -> list[Evidence]:
    """Adds an image to a layout folder: its blobs first, last its entry in the index, in place of one of that name."""
    with explained(str(folder)):
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Other targets of this build, and other builds, may be writing to the same layout.
            fcntl.flock(lock, fcntl.LOCK_EX)
            for layer in bundle.layers:
                _place(blobs / hex_of(layer.blob.digest), _pieces(context, layer.blob.digest), layer.blob.size)
            for digest, data in bundle.documents.items():
                _place(blobs / hex_of(digest), iter([data]), len(data))
            _place(folder / "oci-layout", iter([_LAYOUT]), len(_LAYOUT))
            kept = [
                item for item in _old_entries(folder / "index.json") if not any(_replaces(e, item) for e in entries)
            ]
            _place(folder / "index.json", iter([_index_with(kept, entries)]), -1)
            made = [*(layer.blob.digest for layer in bundle.layers), *bundle.documents]
            files = of_files(str((blobs / hex_of(digest)).absolute()) for digest in made)
        finally:
            os.close(lock)
    place = str(folder.absolute())
    return files + [
        Evidence(Kind.LAYOUT, f"{place}#{entry.annotations.get(oci.CONTAINERD_NAME, '')}", entry.digest)
        for entry in entries
    ]


def _place(path: Path, data: Iterator[bytes], size: int) -> None:
    """Writes a file whole, unless one of that size is there."""
    if path.is_file() and path.stat().st_size == size:
        return
    with whole_file(path) as file:
        for piece in data:
            file.write(piece)


def _old_entries(path: Path) -> list[Mapping[str, Any]]:
    try:
        index = json.loads(path.read_bytes())
        manifests = index["manifests"] or []
        if not all(isinstance(item, dict) and isinstance(item.get("annotations") or {}, dict) for item in manifests):
            raise ValueError("an entry is no object")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is no index of an OCI layout: {error}", hint="choose another dest") from error
    return list(manifests)


def _replaces(entry: oci.Descriptor, old: Mapping[str, Any]) -> bool:
    """Whether an entry takes an old one's place: the same name, or the same image without one."""
    annotations = old.get("annotations") or {}
    name = entry.annotations.get(oci.CONTAINERD_NAME)
    if name is None:
        return old.get("digest") == entry.digest and oci.CONTAINERD_NAME not in annotations
    return bool(annotations.get(oci.CONTAINERD_NAME) == name)


def _index_with(kept: list[Mapping[str, Any]], entries: list[oci.Descriptor]) -> bytes:
    manifests = [*kept, *(oci.descriptor_fields(entry) for entry in entries)]
    return oci.go_json({"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": manifests})

"""Images as OCI layouts and docker archives: one tar, or a folder that several targets may share.

Both forms of tar are OCI layouts, members in the order of their names and without times, as containerd writes them; one
for docker also has the `manifest.json` that `docker load` reads (format: moby's image spec v1.2 and later).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from engine import oci
from engine.archive.tar_reader import FOLDER
from engine.archive.tar_writer import TarWriter
from engine.digests import Digest, hex_of
from engine.errors import ExportError
from engine.exporters.attributes import IMAGE_KEYS, ImageOptions, check_known, flag, image_options
from engine.exporters.contract import Evidence, Export, ExportResult, Kind, TargetImage
from engine.exporters.destination import (
    STDOUT,
    Output,
    check_file,
    check_folder,
    explained,
    output_file,
    written_file,
)
from engine.exporters.evidence import of_files
from engine.exporters.gotime import format_time
from engine.exporters.image_bundle import ImageBundle, make_bundle
from engine.exporters.layers import bring
from engine.exporters.layout_folder import LAYOUT, LayoutFolder, index_with
from engine.registry.reference import parse
from engine.sources.layers import LayerBlob
from engine.values import frozen

if TYPE_CHECKING:
    from engine.exporters.context import ExportContext
    from engine.exporters.docker_context import EngineAddress

_PIECE = 4 << 20


@frozen
class LayoutExporter:
    """`type=oci` and `type=docker`. `tar=false` makes or extends a layout folder."""

    type: str
    dest: str
    tar: bool
    options: ImageOptions
    engine: EngineAddress | None = None
    """The Docker engine that it goes into, instead of a file."""

    @classmethod
    def of(cls, export: Export) -> Self:
        """Raises ExportError."""
        own = ("dest", "tar", "context") if export.type == "docker" else ("dest", "tar")
        check_known(export, (*IMAGE_KEYS, *own), annotations=True)
        options, dest = image_options(export), export.attributes.get("dest", "")
        for name in options.names:
            parse(name)
        if not flag(export.attributes, "tar", default=True):
            if dest in ("", STDOUT):
                raise ExportError(
                    f"an output of type {export.type} with tar=false needs a dest", hint="set dest=FOLDER"
                )
            check_folder(dest)
            return cls(export.type, dest, False, options)
        if not dest and export.type == "docker":
            from engine.exporters.docker_context import engine_address

            engine = engine_address(export.attributes.get("context", ""))
            return cls(export.type, str(engine), True, options, engine)
        if not dest and sys.stdout.isatty():
            raise ExportError(f"an output of type {export.type} needs a dest", hint="set dest=FILE.tar")
        check_file(dest or STDOUT)
        return cls(export.type, dest or STDOUT, True, options)

    @property
    def title(self) -> str:
        """What progress shows."""
        return "loading into the Docker engine" if self.engine else f"exporting to {self.type} image format"

    async def export(self, target: TargetImage, context: ExportContext) -> ExportResult:
        """Writes the archive or folder."""
        import trio

        names = [str(parse(name)) for name in self.options.names]
        bundle = await make_bundle(target, self.options, context, single=self.type == "docker")
        for layer in bundle.layers:
            await bring(context, LayerBlob(layer.blob, layer.origin))
        root = _created(bundle.root, target, self.options)
        what = f"writing {self.dest}" if self.dest != STDOUT else "writing to standard output"
        context.progress(what, 0, 0, False)
        metadata = replace(bundle, root=root).metadata() | ({"image.name": ",".join(names)} if names else {})
        if self.engine:
            from engine.exporters.docker_engine import load

            await load(self.engine, lambda output: self._write_archive(output, bundle, root, names, context))
            result = ExportResult(metadata, bundle.size, tuple(_loaded(self.engine, bundle, names)))
        elif self.tar:
            await trio.to_thread.run_sync(self._write_tar, bundle, root, names, context)
            result = replace(written_file(self.dest, metadata), size=bundle.size)
        else:
            entries = _entries(root, names) if names else [_untagged(root)]
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
        files: dict[str, bytes] = {"oci-layout": LAYOUT, "index.json": index_with([], _entries(root, names))}
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


def _loaded(address: EngineAddress, bundle: ImageBundle, names: list[str]) -> list[Evidence]:
    """An engine names an image by its config or, with containerd's store, by its manifest."""
    ids = f"{bundle.images[0].config.digest} {bundle.root.digest}"
    return [Evidence(Kind.LOADED, f"{address.context} {address} {name}", ids) for name in names]


def _created(root: oci.Descriptor, target: TargetImage, options: ImageOptions) -> oci.Descriptor:
    epoch = options.epoch.over(target.epoch)
    created = {oci.CREATED: format_time(int(time.time()) if epoch is None else epoch)}
    return replace(root, annotations=created | dict(root.annotations))


def _entries(root: oci.Descriptor, names: list[str]) -> list[oci.Descriptor]:
    """The layout's entries: one for each name."""
    if not names:
        return [root]
    return [
        replace(root, annotations={**root.annotations, oci.CONTAINERD_NAME: name, oci.REF_NAME: _ref_name(name)})
        for name in names
    ]


def _ref_name(name: str) -> str:
    """The tag and what follows it; of a name without one the whole, as a digest alone would not be a ref name."""
    return name.removeprefix(f"{parse(name).name}:")


def _untagged(root: oci.Descriptor) -> oci.Descriptor:
    """The entry of an image without a name, where others may be added beside it; the peer's clients look for this."""
    return replace(root, annotations={**root.annotations, oci.REF_NAME: "latest"})


def _docker_manifest(bundle: ImageBundle, names: list[str]) -> bytes:
    image = bundle.images[0]
    return oci.go_json(
        [
            {
                "Config": _blob_path(image.config.digest),
                "RepoTags": [_familiar(name) for name in names] or None,
                "Layers": [_blob_path(layer.digest) for layer in image.manifest.layers] or None,
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
    """Adds an image to a layout folder."""
    layout = LayoutFolder(folder)
    for layer in bundle.layers:
        layout.put(layer.blob.digest, layer.blob.size, _pieces(context, layer.blob.digest))
    for digest, data in bundle.documents.items():
        layout.put(digest, len(data), iter([data]))
    layout.enter(entries)
    made = [*(layer.blob.digest for layer in bundle.layers), *bundle.documents]
    with explained(str(folder)):
        files = of_files(str(layout.blob_path(digest)) for digest in made)
    return files + [
        Evidence(Kind.LAYOUT, f"{layout.path}#{entry.annotations.get(oci.CONTAINERD_NAME, '')}", entry.digest)
        for entry in entries
    ]

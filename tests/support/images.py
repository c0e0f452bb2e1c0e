"""Small images made for a test, as OCI layouts, and pushed with skopeo, which is not ours."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from engine import oci
from engine.digests import sha256
from engine.llb.ops import Platform


def layer_tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    """A tar of files; a name that ends in `/` is a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mtime = 1_600_000_000
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o750
                info.uid = info.gid = 7
                tar.addfile(info)
            else:
                info.size, info.mode = len(data), mode
                tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_layout(
    folder: Path, layers: Sequence[bytes], *, tag: str = "latest", architectures: Sequence[str] = ("amd64",)
) -> Path:
    """An OCI layout of one image (the same layers for each architecture), as an index if there are several."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def put(data: bytes, media_type: str, platform: Platform | None = None) -> oci.Descriptor:
        found = oci.describe(data, media_type, platform)
        (blobs / found.digest.partition(":")[2]).write_bytes(data)
        return found

    packed = [put(gzip.compress(layer, 1, mtime=0), oci.OCI_LAYER_GZIP) for layer in layers]
    manifests = []
    for architecture in architectures:
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        }
        manifest = oci.Manifest(put(oci.config_bytes(config), oci.OCI_CONFIG), tuple(packed))
        platform = Platform(architecture, "linux")
        manifests.append(put(oci.document_bytes(manifest), oci.OCI_MANIFEST, platform))
    top = manifests[0]
    if len(manifests) > 1:
        top = put(oci.document_bytes(oci.Index(tuple(manifests))), oci.OCI_INDEX)
    named = oci.Descriptor(top.media_type, top.digest, top.size, annotations={oci.REF_NAME: tag})
    (folder / "index.json").write_bytes(oci.document_bytes(oci.Index((named,))))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


def skopeo_copy(source: str, target: str) -> None:
    """Copies with all platforms, without TLS."""
    subprocess.run(
        [
            "skopeo",
            "--insecure-policy",
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            source,
            target,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )

"""Small images made for a test, as OCI layouts, and pushed with skopeo, which is not ours."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

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


def busybox_layout(folder: Path, *, architectures: Sequence[str] = ("amd64",)) -> Path:
    """An OCI layout of busybox, from the machine's static binary, which is what every architecture gets."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("needs busybox-static")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            info = tarfile.TarInfo(path)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        info = tarfile.TarInfo("bin/busybox")
        info.size, info.mode = Path(program).stat().st_size, 0o755
        tar.addfile(info, io.BytesIO(Path(program).read_bytes()))
        for applet in applets:
            if applet != "busybox":
                info = tarfile.TarInfo(f"bin/{applet}")
                info.type, info.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(info)
        passwd = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
        info = tarfile.TarInfo("etc/passwd")
        info.size = len(passwd)
        tar.addfile(info, io.BytesIO(passwd))
    return write_layout(folder, [out.getvalue()], architectures=architectures)

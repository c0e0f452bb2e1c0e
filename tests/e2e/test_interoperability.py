"""Buildah, which is podman's other half, takes every form that we write; we take what it writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.program import Program

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("buildah"), reason="needs root and buildah")

DOCKERFILE = "FROM base\nCOPY a /a\nRUN ln /a /b && chown 5:6 /a && rm /etc/passwd\nLABEL made=here\n"
BAKE = """
target "base" {
  contexts = { base = "oci-layout://base" }
  tags = ["shop.example/app:1"]
}
target "form" {
  name = "form-${form.name}"
  matrix = {
    form = [
      { name = "gzip", output = "type=oci,tar=false,dest=out/gzip" },
      { name = "zstd", output = "type=oci,tar=false,dest=out/zstd,compression=zstd,force-compression=true" },
      { name = "estargz", output = "type=oci,tar=false,dest=out/estargz,compression=estargz,force-compression=true" },
      { name = "plain", output = "type=oci,dest=out/plain.tar,compression=uncompressed" },
      { name = "docker", output = "type=docker,dest=out/docker.tar" },
    ]
  }
  inherits = ["base"]
  output = [form.output]
}
target "attested" {
  inherits = ["base"]
  attest = ["type=provenance", "type=sbom"]
  output = ["type=oci,tar=false,dest=out/attested"]
}
group "default" { targets = ["form", "attested"] }
"""
FORMS = (
    "oci:out/gzip:1",
    "oci:out/zstd:1",
    "oci:out/estargz:1",
    "oci:out/attested:1",
    "oci-archive:out/plain.tar",
    "docker-archive:out/docker.tar",
)


class Buildah:
    """Buildah with a store of its own, which needs no mounts."""

    def __init__(self, folder: Path, cwd: Path) -> None:
        self._store = ["--storage-driver", "vfs", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
        self._cwd = cwd
        self._policy = folder / "policy.json"
        folder.mkdir()
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def __call__(self, *arguments: str) -> str:
        command = ["buildah", *self._store, *arguments]
        done = subprocess.run(command, cwd=self._cwd, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def pull(self, image: str) -> str:
        return self("pull", "--quiet", "--signature-policy", str(self._policy), image)

    def push(self, image: str, place: str) -> None:
        self("push", "--quiet", "--signature-policy", str(self._policy), image, place)

    def diff_ids(self, image: str) -> list[str]:
        return json.loads(self("inspect", "--type", "image", image))["OCIv1"]["rootfs"]["diff_ids"]


def test_buildah_takes_every_form_and_gives_it_back(program: Program, tmp_path: Path) -> None:
    program.write(Dockerfile=DOCKERFILE, a="a\n")
    (program.folder / "docker-bake.hcl").write_text(BAKE)
    program.build("--allow", "fs.write=.")
    buildah = Buildah(tmp_path / "buildah", program.folder)
    found = {form: buildah.pull(form) for form in FORMS}
    layers = {form: buildah.diff_ids(image) for form, image in found.items()}
    assert len(layers["oci:out/gzip:1"]) == 3
    # eStargz adds its table of contents to each tar, so its layers are others.
    assert {tuple(ids) for form, ids in layers.items() if "estargz" not in form} == {tuple(layers["oci:out/gzip:1"])}

    for place in ("oci:theirs:1", "oci-archive:theirs.tar:1"):
        buildah.push(found["oci:out/zstd:1"], place)
    program.write(Again="FROM app\nRUN cat /b > /c && stat -c %u:%g /a >> /c\n")
    for layout in ("theirs:1", "theirs.tar:1"):
        program.build(
            "--allow=fs.write=.",
            "--set=*.dockerfile=Again",
            f"--set=*.contexts.app=oci-layout://{layout}",
            "--set=*.output=type=local,dest=files",
            "form-gzip",
        )
        assert (program.folder / "files/c").read_text() == "a\n5:6\n"
        assert not (program.folder / "files/etc/passwd").exists()
        shutil.rmtree(program.folder / "files")

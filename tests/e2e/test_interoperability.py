"""Buildah and podman take every form that we write; we take what they write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.program import Program
from tests.support.registry_server import registry_server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

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


class Containers:
    """Buildah or podman with a store of its own, which needs no mounts."""

    def __init__(self, program: str, folder: Path, runroot: Path, cwd: Path) -> None:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
        self._program = program
        self._store = ["--storage-driver", "vfs", "--root", str(folder / "root"), "--runroot", str(runroot)]
        self._cwd = cwd
        self.policy = folder / "policy.json"
        folder.mkdir()
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def __call__(self, *arguments: str) -> str:
        command = [self._program, *self._store, *arguments]
        done = subprocess.run(command, cwd=self._cwd, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def pull(self, image: str) -> str:
        return self("pull", "--quiet", "--tls-verify=false", "--signature-policy", str(self.policy), image)

    def push(self, image: str, place: str) -> None:
        self("push", "--quiet", "--tls-verify=false", "--signature-policy", str(self.policy), image, place)

    def diff_ids(self, image: str) -> list[str]:
        return json.loads(self("inspect", "--type", "image", image))["OCIv1"]["rootfs"]["diff_ids"]


@pytest.fixture
def runroot() -> Iterator[Path]:
    """A folder with a short name, of at most 50 letters, as podman wants it."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="run") as folder:
        yield Path(folder)


def test_buildah_takes_every_form_and_gives_it_back(program: Program, tmp_path: Path, runroot: Path) -> None:
    program.write(Dockerfile=DOCKERFILE, a="a\n")
    (program.folder / "docker-bake.hcl").write_text(BAKE)
    program.build("--allow", "fs.write=.")
    buildah = Containers("buildah", tmp_path / "buildah", runroot, program.folder)
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


def test_podman_pulls_what_we_push_loads_what_is_for_docker_and_pushes_what_we_build_on(
    program: Program, tmp_path: Path, runroot: Path
) -> None:
    podman = Containers("podman", tmp_path / "podman", runroot, program.folder)
    program.write(Dockerfile=DOCKERFILE, a="a\n", Again="ARG FROM\nFROM $FROM\nRUN cat /b > /c\n")
    (program.folder / "docker-bake.hcl").write_text(BAKE)
    with registry_server(tmp_path / "registry") as registry:
        ours, theirs = f"{registry.host}/ours:1", f"{registry.host}/theirs:1"
        program.build(
            "--allow=fs.write=.",
            f"--set=*.tags={ours}",
            "--set=*.output=type=image,push=true,compression=zstd",
            "--set=*.output+=type=docker,dest=out/docker.tar",
            "form-docker",
        )
        pulled = podman.pull(f"docker://{ours}")
        podman("load", "--quiet", "--signature-policy", str(podman.policy), "--input", "out/docker.tar")
        assert podman("image", "inspect", "--format", "{{.Id}}", ours) == pulled
        podman.push(pulled, f"docker://{theirs}")
        program.build(
            "--allow=fs.write=.",
            "--set=*.dockerfile=Again",
            f"--set=*.args.FROM={theirs}",
            "--set=*.output=type=local,dest=files",
            "form-docker",
        )
    assert (program.folder / "files/c").read_text() == "a\n"

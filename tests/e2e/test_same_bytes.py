"""Manifests and indexes, and so all that they name, are byte for byte those that BuildKit made of the same files.

The digests were recorded from buildx bake with these very targets.
"""

from __future__ import annotations

import json
import os
import platform

import pytest

from tests.support.program import Program

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or platform.machine() != "x86_64", reason="needs root, and the machine of the record"
)

DOCKERFILE = """\
FROM scratch AS base
COPY dir /
FROM base
ADD a /b
MAINTAINER me
LABEL l=é
COPY --link dir/b /linked/
"""
BAKE = """
variable "FORM" {
  default = "compression=uncompressed,force-compression=true,rewrite-timestamp=true"
}
target "_base" {
  args = { SOURCE_DATE_EPOCH = "1000000000" }
  tags = ["reg.example/x/y:1", "z:2"]
  attest = ["type=provenance,disabled=true"]
}
target "one" {
  inherits = ["_base"]
  output = ["type=oci,tar=false,dest=out/one,${FORM}"]
}
target "arm" {
  inherits = ["_base"]
  platforms = ["linux/arm64"]
  output = ["type=oci,tar=false,dest=out/arm,${FORM}"]
}
target "three" {
  inherits = ["_base"]
  platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
  output = ["type=oci,tar=false,dest=out/three,${FORM}"]
}
target "docker" {
  inherits = ["_base"]
  platforms = ["linux/amd64", "linux/arm64"]
  output = ["type=oci,tar=false,dest=out/docker,oci-mediatypes=false,${FORM}"]
}
target "annotated" {
  inherits = ["_base"]
  platforms = ["linux/amd64", "linux/arm64"]
  annotations = [
    "a=1", "index:b=2", "manifest[linux/arm64]:c=3", "manifest-descriptor:d=4",
    "index-descriptor:e=5", "manifest-descriptor[linux/amd64]:f=6",
  ]
  output = ["type=oci,tar=false,dest=out/annotated,${FORM}"]
}
group "default" { targets = ["one", "arm", "three", "docker", "annotated"] }
"""
RECORDED = {
    "one": "sha256:5d24ff929c239e17c96379c2351883a84202fc95096df51f6c185c7ffe7cd047",
    "arm": "sha256:9aaed351edc55509653eec3ce34680816b30015ef8064d81214361e8cd2cde29",
    "three": "sha256:8b6fdf03ef3fd2af4bc88e7ad8e28c09ee1da2140fb7214f1b5a9a8487aff6fd",
    "docker": "sha256:aba8516ce843a4e53d42b6756c4593a90be96dc048ab20b7c0fccaf8b55d8afd",
    "annotated": "sha256:b6c7b0d6e64a5f454a91eecdade3ea39c3b1f95f5997f38e130e69e6cf60dcea",
}


def test_the_digests_are_the_peers(program: Program) -> None:
    program.write(Dockerfile=DOCKERFILE, a="file a\n", dir__b="the file b\n")
    for name, time in {"a": 900_000_000, "dir/b": 800_000_000}.items():
        (program.folder / name).chmod(0o644)
        os.utime(program.folder / name, (time, time))
    (program.folder / "docker-bake.hcl").write_text(BAKE)
    program.build("--allow", "fs.write=.")
    made = {
        name: json.loads((program.folder / "out" / name / "index.json").read_bytes())["manifests"][0]["digest"]
        for name in RECORDED
    }
    assert made == RECORDED

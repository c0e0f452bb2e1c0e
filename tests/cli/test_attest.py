"""`attest` entries of a bake file, down to the image and the metadata file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.git import git

FILE = """
target "default" {
  dockerfile-inline = "FROM scratch\\nARG A=1\\nCOPY a /a"
  args = { A = "secret-argument" }
  tags = ["app:1"]
  output = ["type=oci,dest=out,tar=false"]
}
"""


def build(folder: Path, *flags: str, **variables: str) -> Any:
    (folder / "docker-bake.hcl").write_text(FILE)
    (folder / "a").write_text("a")
    command = [sys.executable, "-m", "bakery.cli.main", "build", "--progress", "quiet", "--allow", "fs.write=."]
    done = subprocess.run(
        [*command, "--metadata-file", "meta.json", *flags],
        cwd=folder,
        env=os.environ | {"BAKERY_ROOT": str(folder / "root"), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "meta.json").read_text())["default"]


def statements(folder: Path, metadata: Any) -> list[Any]:
    def read(digest: str) -> Any:
        return json.loads((folder / "out/blobs/sha256" / digest.partition(":")[2]).read_bytes())

    index = read(metadata["containerimage.digest"])
    said = [item for item in index.get("manifests", []) if "vnd.docker.reference.type" in item.get("annotations", {})]
    return [read(layer["digest"]) for item in said for layer in read(item["digest"])["layers"]]


def test_the_flags_attach_statements(tmp_path: Path) -> None:
    metadata = build(tmp_path, "--provenance", "mode=max", "--sbom", "true")
    found = statements(tmp_path, metadata)
    assert [s["predicateType"] for s in found] == ["https://spdx.dev/Document", "https://slsa.dev/provenance/v1"]
    request = found[1]["predicate"]["buildDefinition"]["externalParameters"]["request"]
    assert request["args"] == {"build-arg:A": "secret-argument"}


def test_without_them_an_image_is_as_plain_as_it_can_be(tmp_path: Path) -> None:
    metadata = build(tmp_path)
    assert statements(tmp_path, metadata) == []
    assert "containerimage.config.digest" in metadata


def test_an_image_gets_the_least_provenance_unasked_but_not_in_an_archive(tmp_path: Path) -> None:
    image = "default.output=type=image,name=app"
    assert "containerimage.config.digest" not in build(tmp_path, "--set", image)
    assert "containerimage.config.digest" in build(tmp_path, "--set", image, "--provenance=false")
    assert "containerimage.config.digest" in build(tmp_path, "--set", image, BUILDX_NO_DEFAULT_ATTESTATIONS="1")
    # Docker's own manifests cannot have it: then there is none, where buildx refuses to build.
    docker = build(tmp_path, "--set", f"{image},oci-mediatypes=false")["containerimage.descriptor"]
    assert docker["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_the_metadata_file_has_the_least_provenance_unless_asked(tmp_path: Path) -> None:
    least = build(tmp_path)["buildx.build.provenance"]
    assert least["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert least["invocation"]["parameters"]["args"] == {"build-arg:A": "secret-argument"}, (
        "this file is the user's own"
    )
    assert "buildConfig" not in least
    assert "metadata" not in least
    assert "buildConfig" in build(tmp_path, BUILDX_METADATA_PROVENANCE="max")["buildx.build.provenance"]
    assert "buildx.build.provenance" not in build(tmp_path, BUILDX_METADATA_PROVENANCE="disabled")


def test_an_attested_image_is_not_written_again_for_another_time_alone(tmp_path: Path) -> None:
    one = build(tmp_path, "--provenance", "true")["containerimage.digest"]
    assert build(tmp_path, "--provenance", "true")["containerimage.digest"] == one


def test_an_archive_of_several_platforms_has_it_too(tmp_path: Path) -> None:
    found = statements(tmp_path, build(tmp_path, "--set", "default.platform=linux/amd64,linux/arm64"))
    assert [s["predicate"]["buildDefinition"]["internalParameters"].get("buildConfig") for s in found] == [None, None]
    assert statements(tmp_path, build(tmp_path, "--set", "*.platform=linux/amd64")) == []


def test_provenance_tells_the_commit(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    git(tmp_path, "init", "-q")
    git(tmp_path, "remote", "add", "origin", "https://me:password@example.org/app.git")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "a")
    found = statements(tmp_path, build(tmp_path, "--provenance", "true"))[0]["predicate"]
    assert found["runDetails"]["metadata"]["buildkit_metadata"]["vcs"] == {
        "localdir:context": ".",
        "revision": git(tmp_path, "rev-parse", "HEAD"),
        "source": "https://xxxxx:xxxxx@example.org/app.git",
    }

"""An SBOM by a generator image: a shell script in busybox that lists the files it is shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Program
from tests.support.registry_server import registry_server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SCRIPT = r"""
set -e
say() {
  out="$BUILDKIT_SCAN_DESTINATION/$1.spdx.json"
  printf '{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",' > "$out"
  printf '"predicate":{"spdxVersion":"SPDX-2.3","name":"%s","files":[' "$1" >> "$out"
  comma=
  for file in $(cd "$2" && find . -type f | sort); do printf '%s"%s"' "$comma" "$file"; comma=,; done >> "$out"
  printf '],"comment":"%s %s %s"}}\n' "$1" "$GREETING" "$BUILDKIT_SCAN_EXTRA" >> "$out"
}
[ "$1" = hello ] && ! touch "$BUILDKIT_SCAN_SOURCE/x" 2> /dev/null && touch /tmp/scratch
say "$(basename "$BUILDKIT_SCAN_SOURCE")" "$BUILDKIT_SCAN_SOURCE"
[ -z "$BUILDKIT_SCAN_SOURCE_EXTRAS" ] && exit
for extra in "$BUILDKIT_SCAN_SOURCE_EXTRAS"/*; do say "$(basename "$extra")" "$extra"; done
"""
GENERATOR = """
FROM base
COPY scan /scan
ENTRYPOINT ["/bin/sh", "/scan"]
CMD ["hello"]
WORKDIR /run
ENV GREETING=hi
"""
DOCKERFILE = """
ARG BUILDKIT_SBOM_SCAN_STAGE=one,three
FROM scratch AS one
COPY scan /one
FROM scratch AS two
COPY scan /two
FROM scratch
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
COPY --from=one /one /
COPY --from=two /two /
COPY hidden /g
"""
BAKE = """
target "generator" {
  dockerfile = "generator.Dockerfile"
  contexts = { base = "oci-layout://base" }
  tags = ["HOST/generator:1"]
  output = ["type=registry"]
}
target "app" {
  tags = ["shop.example/app:1"]
  args = { SOURCE_DATE_EPOCH = "1" }
  attest = ["type=sbom,generator=HOST/generator:1,EXTRA=x"]
  output = ["type=oci,dest=out,tar=false", "type=local,dest=files"]
}
"""


def layout_statements(folder: Path) -> list[Any]:
    def read(digest: str) -> bytes:
        return (folder / "blobs/sha256" / digest.partition(":")[2]).read_bytes()

    top = json.loads((folder / "index.json").read_bytes())["manifests"][0]
    said = json.loads(read(top["digest"]))["manifests"][1]
    return [read(layer["digest"]) for layer in json.loads(read(said["digest"]))["layers"]]


def test_what_a_generator_says_of_the_result_and_of_what_else_it_is_shown(program: Program, tmp_path: Path) -> None:
    for name, text in {
        "scan": SCRIPT,
        "generator.Dockerfile": GENERATOR,
        "Dockerfile": DOCKERFILE,
        "hidden": "",
    }.items():
        (program.folder / name).write_text(text)
    with registry_server(tmp_path / "registry") as server:
        (program.folder / "docker-bake.hcl").write_text(BAKE.replace("HOST", server.host))
        program.build("generator")
        program.build("app", "--allow", "fs.write=.")
        again = program.build("app", "--allow", "fs.write=.")
    assert again.ran == []
    # An image with an SBOM is in an index, so provenance has a place there, too.
    *found, provenance = layout_statements(program.folder / "out")
    definition = json.loads(provenance)["predicate"]["buildDefinition"]
    assert [item["uri"].partition("@")[0][-9:] for item in definition["resolvedDependencies"]] == ["generator"]
    image = json.loads(found[0])["subject"][0]["digest"]["sha256"]
    subject = f'{{"name":"pkg:docker/shop.example/app@1?platform=linux%2Famd64","digest":{{"sha256":"{image}"}}}}'
    head = (
        f'{{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document","subject":[{subject}]'
    )
    # As BuildKit writes it: subjects filled in, and the keys of the predicate sorted.
    assert found[0].decode() == (
        f'{head},"predicate":{{"comment":"sbom hi x","files":["./g","./one","./two"],'
        '"name":"sbom","spdxVersion":"SPDX-2.3"}}'
    )
    assert [json.loads(item)["predicate"]["name"] for item in found] == ["sbom", "sbom-context", "sbom-one"]
    assert json.loads(found[2])["predicate"]["files"] == ["./one"]
    assert sorted(path.name for path in (program.folder / "files").iterdir()) == [
        "g",
        "one",
        "sbom-context.spdx.json",
        "sbom-one.spdx.json",
        "sbom.spdx.json",
        "two",
    ]


def test_a_generator_without_a_command_is_told_at_once(program: Program, tmp_path: Path) -> None:
    (program.folder / "Dockerfile").write_text("FROM scratch\n")
    with registry_server(tmp_path / "registry") as server:
        (program.folder / "docker-bake.hcl").write_text(
            f"""
            target "empty" {{
              tags = ["{server.host}/empty"]
              output = ["type=registry"]
            }}
            target "app" {{
              attest = ["type=sbom,generator={server.host}/empty"]
            }}
            """
        )
        program.build("empty")
        failed = program.run("build", "app")
    assert failed.code == 1
    assert f"scanner {server.host}/empty:latest does not have cmd" in failed.err

"""Provenance, member by member like BuildKit's of the same Dockerfile (recorded in tests/data/provenance)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import oci
from engine.attestations.provenance import ProvenanceOptions, as_v02, predicate, response
from engine.attestations.statement import Statement, attestation_manifest, image_subjects
from engine.digests import sha256
from engine.errors import ExportError
from engine.exporters.contract import Attest, BuildFacts
from engine.frontends.contract import FrontendRequest, LocalFolder
from engine.llb.definition import Definition, Edge, Note, Place, Vertex
from engine.llb.ops import (  # fmt: skip
    Copy,
    ExecOp,
    FileAction,
    FileOp,
    Meta,
    Mount,
    MountType,
    Platform,
    Position,
    Range,
    SecretOpt,
    SourceInfo,
    SourceOp,
)

DATA = Path(__file__).parents[2] / "data" / "provenance"
AMD64 = Platform("amd64", "linux")
BASE = "sha256:8e8fc2bfcabfabf89ed8c455b8510f4cc356c8a333c5440302b0d8d1b2de0b71"
DOCKERFILE = b"""FROM localhost:5000/busybox:1.35 AS base
ARG FOO=bar
RUN echo $FOO > /foo
FROM base
COPY a /a
RUN --mount=type=secret,id=s1,required=false true
LABEL x=y
"""
TEXT = SourceInfo("Dockerfile", DOCKERFILE, "Dockerfile")


def recorded(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def at(line: int) -> Note:
    return Note(places=(Place(TEXT, (Range(Position(line), Position(line)),)),))


def facts() -> BuildFacts:
    """The Dockerfile as the frontend lowers it."""
    image = Vertex.make(SourceOp(f"docker-image://localhost:5000/busybox:1.35@{BASE}"), platform=AMD64, note=at(1))
    run = Vertex.make(
        ExecOp(
            Meta(
                args=("/bin/sh", "-c", "echo $FOO > /foo"),
                env=("PATH=/bin:/usr/bin", "LANG=C", "FOO=q"),
                cwd="/",
                remove_mount_stubs_recursive=True,
            ),
            (Mount(dest="/"),),
        ),
        [Edge(image.digest)],
        AMD64,
        at(3),
    )
    attrs = {"local.followpaths": '["a"]', "local.sharedkeyhint": "context", "local.session": "folder-1"}
    context = Vertex.make(SourceOp("local://context", attrs))
    copy = Copy(
        src="/a",
        dest="/a",
        mode=-1,
        follow_symlink=True,
        dir_copy_contents=True,
        create_dest_path=True,
        allow_wildcard=True,
        allow_empty_wildcard=True,
        timestamp=-1,
    )
    copied = Vertex.make(
        FileOp((FileAction(input=0, secondary_input=1, output=0, copy=copy),)),
        [Edge(run.digest), Edge(context.digest)],
        note=at(5),
    )
    secret = SecretOpt("s1", mode=0o400, optional=True)
    last = Vertex.make(
        ExecOp(
            Meta(
                args=("/bin/sh", "-c", "true"),
                env=("FOO=q", "PATH=/bin:/usr/bin", "LANG=C"),
                cwd="/",
                remove_mount_stubs_recursive=True,
            ),
            (Mount(dest="/"), Mount(-1, dest="/run/secrets/s1", mount_type=MountType.SECRET, secret_opt=secret)),
        ),
        [Edge(copied.digest)],
        AMD64,
        at(6),
    )
    vertices = {v.digest: v for v in (image, run, context, copied, last)}
    folder = LocalFolder("context", Path("/ctx"))
    request = FrontendRequest(
        {"build-arg:FOO": "q", "label:l": "1", "platform": "linux/amd64", "filename": "Dockerfile"},
        {"context": folder, "dockerfile": folder},
    )
    return BuildFacts(
        Definition(vertices, Edge(last.digest)),
        request,
        pins={image.digest: BASE},
        bases={image.digest: 1},
        started=1.0,
        finished=2.0,
        build="build",
    )


def comparable(made: dict[str, Any]) -> dict[str, Any]:
    """Without what is of one run, of one builder, or of digests that a session's name is in."""
    made = json.loads(json.dumps(made))
    definition, metadata = made["buildDefinition"], made["runDetails"]["metadata"]
    for key in ("invocationId", "startedOn", "finishedOn"):
        assert metadata.pop(key)
    assert definition["internalParameters"].pop("dockerfileVersion").startswith("1.26.")
    config = definition["internalParameters"].get("buildConfig", {})
    mapping = config.pop("digestMapping", {})
    if mapping:
        assert sorted(mapping.values()) == [f"step{number}" for number in range(len(mapping))]
    for info in metadata["buildkit_metadata"].get("source", {}).get("infos", []):
        # The text's own origin is not kept in our definitions.
        for key in ("llbDefinition", "digestMapping"):
            info.pop(key, None)
    return made


def layers() -> list[oci.Descriptor]:
    found = recorded("max")["statement"]["predicate"]["runDetails"]["metadata"]["buildkit_metadata"]["layers"]
    return [oci.parse_descriptor(item) for item in found["step4:0"][0]]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_predicate_says_what_buildkit_says(mode: str) -> None:
    options = ProvenanceOptions.of(Attest("provenance", {"mode": mode}))
    made = predicate(options, facts(), layers())
    theirs = recorded(mode)["statement"]["predicate"]
    assert comparable(made) == comparable(theirs)
    for keys in (["buildDefinition"], ["buildDefinition", "externalParameters", "request"], ["runDetails", "metadata"]):
        assert list(inside(made, keys)) == list(inside(theirs, keys))


def inside(fields: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    for key in keys:
        fields = fields[key]
    return fields


def test_the_metadata_file_leaves_out_how_but_not_what_was_asked() -> None:
    told = response(ProvenanceOptions(full=False), facts())
    assert list(told) == ["builder", "buildType", "materials", "invocation"]
    parameters = told["invocation"]["parameters"]
    assert parameters["args"] == {"build-arg:FOO": "q", "label:l": "1"} == parameters["root"]["request"]["args"]
    assert parameters["secrets"] == [{"id": "s1", "optional": True}]


def test_a_request_without_options_is_told_once() -> None:
    plain = replace(facts(), request=FrontendRequest({}, {}))
    assert "root" not in response(ProvenanceOptions(), plain)["invocation"]["parameters"]


def test_the_statement_and_its_manifest_are_laid_out_as_buildkit_does() -> None:
    theirs = recorded("max")
    subject = theirs["manifest"]["subject"]
    image = oci.Descriptor(subject["mediaType"], subject["digest"], subject["size"])
    subjects = image_subjects(["x/y:1"], AMD64, image.digest)
    statement = Statement("https://slsa.dev/provenance/v1", {"a": "<b>"}, "provenance.json")
    made = attestation_manifest(image, [statement], subjects, artifact=True)

    manifest = json.loads(made.documents[made.descriptor.digest])
    blob = manifest["layers"][0]
    assert json.loads(made.documents[blob["digest"]]) == theirs["statement"] | {"predicate": {"a": "<b>"}}
    assert list(json.loads(made.documents[blob["digest"]])) == ["_type", "predicateType", "subject", "predicate"]
    for layer in (blob, theirs["manifest"]["layers"][0]):
        del layer["digest"], layer["size"]
    assert manifest == theirs["manifest"]
    assert made.descriptor.annotations == {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": subject["digest"],
    }


def test_the_older_form_looks_like_an_image() -> None:
    image = oci.Descriptor(oci.OCI_MANIFEST, sha256(b"image"), 5)
    made = attestation_manifest(image, [Statement("type", {}, "f")], [], artifact=False)
    manifest = json.loads(made.documents[made.descriptor.digest])
    config = json.loads(made.documents[manifest["config"]["digest"]])
    assert "subject" not in manifest
    assert config["architecture"] == config["os"] == "unknown"
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]


def test_version_02_has_other_names_for_the_same() -> None:
    options = ProvenanceOptions.of(Attest("provenance", {"version": "v0.2", "mode": "min", "builder-id": "me"}))
    made = predicate(options, facts())
    assert made == as_v02(predicate(ProvenanceOptions(full=False, builder_id="me"), facts())) | {
        "metadata": made["metadata"]
    }
    assert made["builder"] == {"id": "me"}
    assert made["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert made["materials"][0]["uri"] == "pkg:docker/localhost%3A5000/busybox@1.35?platform=linux%2Famd64"


def test_a_remote_context_is_the_source_of_the_build_without_its_password() -> None:
    url = "https://user:hunter2@example.org/repo.git#main"
    git = Vertex.make(
        SourceOp("git://example.org/repo.git#main", {"git.fullurl": "https://user:hunter2@example.org/repo.git"})
    )
    built = BuildFacts(
        Definition({git.digest: git}, Edge(git.digest)),
        FrontendRequest({"context": url, "vcs:revision": "abc"}, {}),
        pins={git.digest: "a" * 40},
    )
    made = predicate(ProvenanceOptions(), built)
    assert "hunter2" not in json.dumps(made)
    definition = made["buildDefinition"]
    assert definition["resolvedDependencies"] == [
        {"uri": "https://xxxxx:xxxxx@example.org/repo.git", "digest": {"sha1": "a" * 40}}
    ]
    assert definition["externalParameters"]["configSource"]["digest"] == {"sha1": "a" * 40}
    metadata = made["runDetails"]["metadata"]
    assert metadata["buildkit_metadata"]["vcs"] == {"revision": "abc"}
    assert metadata["buildkit_completeness"] == {"request": True, "resolvedDependencies": True}
    assert metadata["buildkit_hermetic"] is True


def test_steps_that_cannot_be_told_apart_have_no_layers() -> None:
    made = predicate(ProvenanceOptions(), facts(), layers()[:2])
    assert "layers" not in made["runDetails"]["metadata"]["buildkit_metadata"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"mode": "some"}, 'no mode "some"'),
        ({"version": "v3"}, 'no version "v3"'),
        ({"mod": "max"}, 'unknown attribute "mod"'),
    ],
)
def test_attributes_that_make_no_sense(attributes: dict[str, str], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        ProvenanceOptions.of(Attest("provenance", attributes))


def test_complete_materials_cannot_be_promised_for_local_folders() -> None:
    options = ProvenanceOptions.of(Attest("provenance", {"complete-materials": "true"}))
    with pytest.raises(ExportError, match="local folders"):
        predicate(options, facts())

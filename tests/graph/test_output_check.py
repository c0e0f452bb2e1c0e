"""Mistakes in outputs are found before anything is built, and each has its place in the bake file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.config.target import AttestEntry, OutputEntry, Project, Target
from bakery.diagnostics import BakeryError
from bakery.graph.output_check import check_outputs
from bakery.graph.outputs import exports
from bakery.graph.statements import attests
from tests.support.program import Program

PROVENANCE = AttestEntry("provenance", attrs={"mode": "max"})


def project(*targets: Target) -> Project:
    return Project({target.name: target for target in targets})


def target(name: str, *outputs: OutputEntry, **fields: object) -> Target:
    return Target(name, output=outputs, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (target("a", OutputEntry("image", attrs={"puhs": "true"})), 'unknown attribute "puhs"'),
        (target("a", OutputEntry("oci", "x.tar", {"name": "*"})), 'the name "*"'),
        (target("a", OutputEntry("oci", "x.tar"), tags=("UPPER/Case",)), "invalid image reference"),
        (target("a", OutputEntry("oci", ".")), "it is a folder"),
        (target("a", OutputEntry("local", "file")), "it is no folder"),
        (target("a", OutputEntry("docker", "x.tar"), platforms=("linux/amd64", "linux/arm64")), "one platform only"),
        (target("a", OutputEntry("docker", "x.tar"), attest=(PROVENANCE,)), "cannot hold attestations"),
        (
            target("a", OutputEntry("image", attrs={"oci-mediatypes": "false"}), attest=(PROVENANCE,)),
            'attestations cannot be exported with "oci-mediatypes=false"',
        ),
        (target("a", OutputEntry("image", attrs={"oci-mediatypes": "false", "oci-artifact": "true"})), "exclude"),
        (target("a", OutputEntry("oci", "x.tar"), annotations=("index:a=b",)), "one platform and so no index"),
        (target("a", OutputEntry("tar", "-"), OutputEntry("oci", "-")), "multiple outputs configured to write to std"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, made: Target, message: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BakeryError, match="target a: |multiple") as caught:
        check_outputs(project(made), tmp_path)
    assert message in str(caught.value)


def test_annotations_of_an_index_are_for_those_that_there_will_be(tmp_path: Path) -> None:
    archive, image, index = OutputEntry("oci", "x.tar"), OutputEntry("image"), ("index:a=b",)
    several = target("several", archive, annotations=index, platforms=("linux/amd64", "linux/arm64"))
    attested = target("attested", archive, annotations=index, attest=(PROVENANCE,))
    unasked = target("unasked", image, annotations=index)
    made = target("made", archive, annotations=index, args={"BUILDKIT_MULTI_PLATFORM": "1"})
    check_outputs(project(several, attested, unasked, made), tmp_path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong = OutputEntry("oci", "x.tar", {"compression": "gzipp"})
    with pytest.raises(BakeryError) as caught:
        check_outputs(project(target("a", wrong), target("b", wrong)), tmp_path)
    assert [d.summary for d in caught.value.diagnostics] == [
        f'target {name}: unknown compression "gzipp"' for name in "ab"
    ]


def test_nothing_is_built_for_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    program = Program(tmp_path, tmp_path / "root")
    program.write(Dockerfile="FROM scratch\nCOPY a /\n", a="a")
    (tmp_path / "docker-bake.hcl").write_text(
        'target "default" {\n  output = [\n    "type=oci,dest=x.tar,compression-level=best",\n  ]\n}\n'
    )
    said = program.fail("build", "--allow=fs.write=.", "--progress=plain")
    assert "docker-bake.hcl:2,12-4,4: target default: the attribute compression-level must be a number" in said
    assert "COPY a /" not in said


def test_tags_are_the_names_of_all_images_whatever_an_output_says(tmp_path: Path) -> None:
    made = target("a", OutputEntry("image", attrs={"name": "other:1"}), tags=("app:1", "app:2"))
    assert exports(made, tmp_path)[0].attributes["name"] == "app:1,app:2"


def test_images_get_the_least_provenance_unless_something_is_said_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    image = target("a", OutputEntry("image"))
    (unasked,) = attests(image)
    assert unasked.type == "provenance"
    assert unasked.attributes["mode"] == "min"
    assert unasked.inline_only
    assert attests(target("a", OutputEntry("oci", "x.tar"), OutputEntry("local", "y"))) == ()
    assert attests(target("a", OutputEntry("image"), attest=(AttestEntry("provenance", disabled=True),))) == ()
    assert [a.inline_only for a in attests(target("a", OutputEntry("image"), attest=(PROVENANCE,)))] == [False]
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
    assert attests(image) == ()
    monkeypatch.setenv("BUILDX_NO_DEFAULT_ATTESTATIONS", "perhaps")
    with pytest.raises(BakeryError, match="BUILDX_NO_DEFAULT_ATTESTATIONS"):
        attests(image)


def test_the_older_form_of_statements_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDX_NO_DEFAULT_OCI_ARTIFACT", "true")
    made = target("a", OutputEntry("image"), OutputEntry("oci", "x", {"oci-artifact": "true"}))
    assert [export.attributes["oci-artifact"] for export in exports(made, tmp_path)] == ["false", "true"]

"""bakery export: what the last build came to, sent elsewhere without the Dockerfile, the context or any solving."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from support.program import Program

DOCKERFILE = """FROM scratch
COPY a.txt /a.txt
LABEL made=here
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A project with two targets, built, and then all that it was built from taken away."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "a.txt").write_text("a")
    targets: dict[str, dict[str, object]] = {"one": {}, "two": {"platforms": ["linux/amd64", "linux/arm64"]}}
    (folder / "docker-bake.json").write_text(
        json.dumps({"group": {"default": {"targets": ["one", "two"]}}, "target": targets})
    )
    program = Program(folder, tmp_path_factory.mktemp("state") / "root")
    assert program.run("build").code == 0
    for path in folder.iterdir():
        path.unlink()
    return program


def test_a_result_goes_to_several_outputs(built: Program) -> None:
    run = built.run(
        "export", "one", "-o", "type=local,dest=out", "-o", "type=oci,dest=one.tar", "--tag", "example.org/one:2"
    )
    assert run.code == 0, run.err
    assert (built.folder / "out" / "a.txt").read_text() == "a"
    with tarfile.open(built.folder / "one.tar") as tar:
        member = tar.extractfile("index.json")
        assert member is not None
        (manifest,) = json.load(member)["manifests"]
    assert manifest["annotations"]["io.containerd.image.name"] == "example.org/one:2"


def test_all_platforms_go_with_their_configs(built: Program) -> None:
    assert built.run("export", "two", "-o", "type=oci,dest=two,tar=false").code == 0
    blobs = built.folder / "two" / "blobs" / "sha256"
    configs = [json.loads(path.read_bytes()) for path in blobs.iterdir() if path.read_bytes()[:1] == b"{"]
    made = [config for config in configs if "rootfs" in config]
    assert sorted(config["architecture"] for config in made) == ["amd64", "arm64"]
    assert all(config["config"]["Labels"] == {"made": "here"} for config in made)


def test_without_a_name_it_is_all_of_the_last_build_if_that_makes_sense(built: Program) -> None:
    run = built.run("export", "-o", "type=oci,dest=both.tar")
    assert run.code == 1
    assert "several targets cannot be written to one place" in run.err
    assert "name one of one, two" in run.err
    assert built.run("export", "-o", "type=image").code == 0


def test_what_was_not_built_is_told_with_what_was(built: Program) -> None:
    run = built.run("export", "three", "-o", "type=image")
    assert run.code == 1
    assert "there are results of: one, two" in run.err


@pytest.mark.parametrize("arguments", [[], ["-o", "type="], ["--push"]])
def test_an_output_that_is_none_is_wrong_usage(built: Program, arguments: list[str]) -> None:
    assert built.run("export", "one", *arguments).code == 2


def test_a_result_whose_layers_went_is_to_be_built_again(built: Program, tmp_path: Path) -> None:
    shutil.copytree(built.root, tmp_path / "root")
    other = Program(built.folder, tmp_path / "root")
    assert other.run("prune", "--force", "--all").code == 0
    run = other.run("export", "one", "-o", "type=local,dest=gone")
    assert run.code == 1
    assert "run `bakery build one` again" in run.err


def test_blobs_that_have_rotted_are_made_anew_and_the_build_says_so(built: Program, tmp_path: Path) -> None:
    program = Program(tmp_path, tmp_path / "root")
    program.write(Dockerfile=DOCKERFILE, a_DOT_txt="a")
    (tmp_path / "docker-bake.json").write_text(
        json.dumps({"target": {"default": {"output": ["type=oci,dest=one.tar", "type=oci,dest=two,tar=false"]}}})
    )
    first = program.build()
    assert "check the state folder" not in first.err
    for path in (program.root / "blobs" / "sha256").iterdir():
        path.chmod(0o644)
        path.write_bytes(bytes(path.stat().st_size))
    (tmp_path / "one.tar").unlink()
    again = program.build()
    assert "check the state folder" in again.err
    with tarfile.open(tmp_path / "one.tar") as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            if member.name.startswith("blobs/sha256/") and content is not None:
                assert hashlib.sha256(content.read()).hexdigest() == member.name.rpartition("/")[2]
    assert "check the state folder" not in program.build().err

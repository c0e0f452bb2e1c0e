"""`bakery lock` and `--locked`: what was written down stays, whatever happens to the names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import layer_tar, skopeo_copy, write_layout
from tests.support.registry_server import RegistryServer, registry_server

FILE = """
target "app" {
  dockerfile-inline = "FROM HOST/base:1\\nCOPY --from=HOST/tool:1 / /"
  output = ["type=oci,dest=app.tar"]
}
target "other" {
  dockerfile-inline = "FROM HOST/other:1\\nLABEL a=b"
}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


class Project:
    """A folder with a bake file, and images that its names mean."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder, self._host = folder, host
        (folder / "docker-bake.hcl").write_text(FILE.replace("HOST", host))
        for name in ("base", "tool", "other"):
            self.publish(name, f"{name} 1\n")

    def publish(self, name: str, text: str) -> None:
        layout = write_layout(
            self.folder / "images" / text.strip().replace(" ", "-"), [layer_tar({name: text.encode()})]
        )
        skopeo_copy(f"oci:{layout}:latest", f"docker://{self._host}/{name}:1")

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"BAKERY_ROOT": str(self.folder / "root"), "DOCKER_CONFIG": str(self.folder)}
        return subprocess.run(
            [sys.executable, "-m", "bakery.cli.main", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )

    def lock(self) -> dict[str, dict[str, str]]:
        found = json.loads((self.folder / "bakery.lock").read_text())
        assert found.pop("version") == 1
        return {kind: {name.rpartition("/")[2]: pin for name, pin in pins.items()} for kind, pins in found.items()}

    def sources(self, *flags: str) -> set[str]:
        """The digests that a build would use, by `bakery llb`."""
        done = self.call("llb", "app", *flags)
        assert done.returncode == 0, done.stderr
        identifiers = [op["op"]["source"]["identifier"] for op in json.loads(done.stdout) if "source" in op["op"]]
        return {identifier.rpartition("@")[2] for identifier in identifiers}


@pytest.fixture
def project(tmp_path: Path, registry: RegistryServer) -> Project:
    return Project(tmp_path, f"{registry.host}/{tmp_path.name.lower().replace('_', '-').strip('-')}")


def test_all_names_are_written_down(project: Project) -> None:
    done = project.call("lock")
    assert done.returncode == 0, done.stderr
    assert sorted(project.lock()["images"]) == ["base:1", "other:1", "tool:1"]
    assert done.stdout.count("+ ") == 3
    assert project.call("lock").stdout == "", "a second time nothing changes"


def test_a_locked_build_uses_what_was_written_down(project: Project) -> None:
    project.call("lock")
    before = project.lock()["images"]
    project.publish("base", "base 2\n")
    assert project.sources("--locked") == {before["base:1"], before["tool:1"]}
    assert before["base:1"] not in project.sources()

    assert project.call("lock").stdout == "", "what is locked stays"
    check = project.call("lock", "--check")
    assert check.returncode == 1
    assert check.stdout.startswith("~ ")
    assert before["base:1"] in check.stdout
    assert project.lock()["images"] == before

    project.call("lock", "--update")
    after = project.lock()["images"]
    assert after["base:1"] != before["base:1"]
    assert after["tool:1"] == before["tool:1"]
    assert project.call("lock", "--check").returncode == 0


def test_a_locked_build_gives_the_same_image(project: Project) -> None:
    project.call("lock")
    flags = ("--progress", "quiet", "--allow", "fs.write=.", "--set", "app.args.SOURCE_DATE_EPOCH=0")
    project.call("build", "app", "--locked", *flags)
    one = (project.folder / "app.tar").read_bytes()
    project.publish("tool", "tool 2\n")
    (project.folder / "app.tar").unlink()
    done = project.call("build", "app", "--locked", *flags)
    assert done.returncode == 0, done.stderr
    assert (project.folder / "app.tar").read_bytes() == one


def test_a_name_that_is_not_in_the_lock_fails(project: Project) -> None:
    project.call("lock", "app")
    assert sorted(project.lock()["images"]) == ["base:1", "tool:1"]
    done = project.call("build", "other", "--locked", "--progress", "quiet")
    assert done.returncode == 1
    assert "is not in the lock" in done.stderr
    assert "run `bakery lock`" in done.stderr
    project.call("lock", "other")
    assert sorted(project.lock()["images"]) == ["base:1", "other:1", "tool:1"], "the others' entries stay"


def test_a_locked_build_without_a_lock_fails(project: Project) -> None:
    done = project.call("build", "--locked", "app")
    assert done.returncode == 1
    assert "there is no" in done.stderr
    assert "bakery lock" in done.stderr


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"version": 2}', '{"version": 1, "images": []}', '{"version": 1, "images": {"a": "latest"}}'],
)
def test_a_lock_that_makes_no_sense(project: Project, text: str) -> None:
    (project.folder / "bakery.lock").write_text(text)
    done = project.call("build", "--locked", "app")
    assert done.returncode == 1
    assert "cannot read the lock" in done.stderr
    assert "Traceback" not in done.stderr

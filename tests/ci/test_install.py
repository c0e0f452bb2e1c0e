"""How jobs get bakery: from where this one came, and always one commit, one archive or one version of it."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from support.program import REPOSITORY, Program

from bakery.ci.install import DISTRIBUTION, from_direct_url
from bakery.version import VERSION

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "ab" * 32
GIT = {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT}
PINNED: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://git.example.test/b.git", "vcs_info": GIT}, f"git+https://git.example.test/b.git@{COMMIT}"),
    (
        {"url": "ssh://git@git.example.test/b", "vcs_info": GIT, "subdirectory": "tools/b"},
        f"git+ssh://git@git.example.test/b@{COMMIT}#subdirectory=tools/b",
    ),
    (
        {"url": "https://me:secret@git.example.test/b", "vcs_info": GIT},
        f"git+https://git.example.test/b@{COMMIT}",
    ),
    (
        {"url": "https://example.test/b.whl?v=1&w=2", "archive_info": {"hashes": {"sha256": SHA256}}},
        f"https://example.test/b.whl?v=1&w=2#sha256={SHA256}",
    ),
    (
        {"url": "https://example.test/b.tgz", "archive_info": {"hash": f"sha256={SHA256}"}, "subdirectory": "b"},
        f"https://example.test/b.tgz#sha256={SHA256}&subdirectory=b",
    ),
]
DOUBTFUL: list[Any] = [
    {"url": "file:///home/me/bakery", "dir_info": {"editable": True}},
    {"url": "file:///home/me/b.whl", "archive_info": {"hashes": {"sha256": SHA256}}},
    {"url": "file:///home/me/b.git", "vcs_info": GIT},
    {"url": "https://example.test/b.whl", "archive_info": {}},
    {"url": "https://example.test/b.whl", "archive_info": {"hashes": {"sha256": "short"}}},
    {"url": "http://example.test/b.git", "vcs_info": GIT},
    {"url": "https://example.test/b.git", "vcs_info": {"vcs": "git", "commit_id": "main"}},
    {"url": "https://example.test/b.git", "vcs_info": {"vcs": "hg", "commit_id": COMMIT}},
    {"url": "https://example.test/$(id)`id`", "vcs_info": GIT},
    {"url": 'https://example.test/"; id; "', "vcs_info": GIT},
    {"url": "https://example.test/${{ secrets.X }}", "vcs_info": GIT},
    {"url": "https://example.test/b", "vcs_info": GIT, "subdirectory": "$(id)"},
    {"url": "https://example.test/b\n- run: id", "vcs_info": GIT},
    {"url": 7},
    {"vcs_info": GIT},
    [],
    None,
]


def test_the_name_is_ours() -> None:
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION


@pytest.mark.parametrize(("origin", "address"), PINNED)
def test_an_address_with_a_commit_or_a_hash_is_installed_from_there(origin: dict[str, Any], address: str) -> None:
    install = from_direct_url(json.dumps(origin))
    assert install.doubt == ""
    program, verb, requirement = shlex.split(install.command)
    assert (program, verb) == ("pip", "install")
    assert (Requirement(requirement).name, Requirement(requirement).url) == (DISTRIBUTION, address)


@pytest.mark.parametrize("origin", DOUBTFUL)
def test_from_anywhere_else_it_is_this_version_and_somebody_has_to_look(origin: object) -> None:
    install = from_direct_url(json.dumps(origin))
    assert install.command == f"pip install {DISTRIBUTION}=={VERSION}"
    assert install.doubt
    assert from_direct_url("no JSON").doubt


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/docker-bake.hcl").write_text('target "default" {}')
    (tmp_path / "site").mkdir()
    environ = {"PYTHONPATH": f"{tmp_path / 'site'}:{REPOSITORY}"}
    return Program(tmp_path / "project", tmp_path / "root", environ)


def installed(program: Program, version: str = VERSION, **origin: object) -> None:
    """What an installer leaves behind, where Python finds it first."""
    folder = program.root.parent / f"site/bakery_bake-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {version}\n")
    if origin:
        (folder / "direct_url.json").write_text(json.dumps(origin))


def commands(text: str) -> list[str]:
    """What the jobs of a GitHub workflow run first, or those of GitLab."""
    found = yaml.safe_load(text)
    if ".bakery" in found:
        return [found[".bakery"]["before_script"][0]]
    runs = [[step["run"] for step in job["steps"] if "run" in step] for job in found["jobs"].values()]
    return [run[0] for run in runs]


@pytest.mark.parametrize("service", [["github"], ["github", "--affected"], ["gitlab"]])
def test_every_job_installs_what_wrote_the_workflow(service: list[str], program: Program) -> None:
    installed(program, url="https://git.example.test/b.git", vcs_info=GIT)
    run = program.run("ci", *service)
    wanted = f'pip install "bakery-bake @ git+https://git.example.test/b.git@{COMMIT}"'
    assert (run.code, {*commands(run.out)}, run.err) == (0, {wanted}, "")


def test_from_an_index_it_is_the_version(program: Program) -> None:
    installed(program)
    run = program.run("ci", "github")
    assert ({*commands(run.out)}, run.err) == ({f"pip install bakery-bake=={VERSION}"}, "")


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_a_doubt_is_told_and_stands_in_the_workflow(service: str, program: Program) -> None:
    installed(program, url="file:///src/bakery", dir_info={})
    run = program.run("ci", service)
    assert {*commands(run.out)} == {f"pip install bakery-bake=={VERSION}"}
    assert "# Jobs install bakery by its name, since this bakery was installed from files of one machine." in run.out
    assert run.err.startswith("WARNING: jobs run `pip install bakery-bake==")
    assert "hint: the name has to come from a package index that you trust" in run.err


def test_what_is_installed_beside_the_sources_that_run_does_not_count(program: Program) -> None:
    installed(program, version="99.0")
    assert "since this bakery runs from its sources" in program.run("ci", "github").err


def test_a_command_of_ones_own_is_what_jobs_run(program: Program) -> None:
    command = "pip install './tools/my bakery' # \"quoted\": $HOME"
    for service in ("github", "gitlab"):
        run = program.run("ci", service, "--install", command)
        assert ({*commands(run.out)}, run.err) == ({command}, "")
    assert "expected a text of one line" in program.fail("ci", "github", "--install", "a\nb", code=2)


def test_a_matrix_installs_nothing(program: Program) -> None:
    assert program.run("ci", "github", "--matrix").err == ""

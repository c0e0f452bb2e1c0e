"""The workflows that are written: as a whole, as YAML, and run by a shell."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.program import REPOSITORY

from bakery.ci.command import SharedCache, given, shell_text
from bakery.ci.github import GitHub, affected_workflow, workflow
from bakery.ci.gitlab import GitLab, pipeline
from bakery.ci.install import Install
from bakery.ci.matrix import as_json, as_matrix
from bakery.ci.plan import Job, Wave
from bakery.config.request import LoadRequest
from bakery.diagnostics import BakeryError

PINNED = Path(__file__).parent / "pinned"
WAVES: list[Wave] = [
    (Job("base", asked=False),),
    (
        Job("api", ("linux/arm64",), ("base",), tagged=True),
        Job("web", ("linux/amd64", "linux/arm64"), ("base",)),
    ),
]
GHA = SharedCache("gha", "bakery")
REGISTRY = SharedCache("registry", "$CI_REGISTRY_IMAGE/cache:bakery")
INSTALL = Install('pip install "bakery-bake @ https://example.test/b.tar.gz#sha256=1234"')
DOUBTFUL = Install("pip install bakery-bake==1.2", "this bakery was installed from files of one machine")
EVIL = "a'; touch broken; \"$(touch broken)`touch broken` \\"

WORKFLOWS = {
    "github.yml": workflow(WAVES, GitHub(GHA, INSTALL, push=True)),
    "github-affected.yml": affected_workflow(WAVES, GitHub(GHA, INSTALL, "-f x.hcl", ("all",))),
    "github-registry.yml": workflow(WAVES, GitHub(SharedCache("registry", "example.test/c:1"), DOUBTFUL, runner="big")),
    "github-no-cache.yml": workflow(WAVES, GitHub(None, INSTALL)),
    "gitlab.yml": pipeline(WAVES, GitLab(REGISTRY, INSTALL, push=True)),
    "gitlab-no-cache.yml": pipeline(WAVES, GitLab(None, DOUBTFUL, branch="trunk")),
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_is_written_is_as_pinned(name: str) -> None:
    """To pin again what was changed on purpose: `BAKERY_PIN=1 pytest tests/ci`."""
    if os.environ.get("BAKERY_PIN"):
        (PINNED / name).write_text(WORKFLOWS[name])
    assert WORKFLOWS[name] == (PINNED / name).read_text()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_is_yaml(name: str) -> None:
    assert isinstance(yaml.safe_load(WORKFLOWS[name]), dict)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_published_schemas_accept_it(name: str, tmp_path: Path) -> None:
    """SchemaStore's, as check-jsonschema brings them along."""
    pytest.importorskip("check_jsonschema")
    kind = "github-workflows" if name.startswith("github") else "gitlab-ci"
    (tmp_path / name).write_text(WORKFLOWS[name])
    arguments = ["--builtin-schema", f"vendor.{kind}"]
    if kind == "gitlab-ci":
        arguments += ["--data-transform", "gitlab-ci"]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *arguments, tmp_path / name], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def jobs(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["jobs"]
    return found


def test_a_wave_waits_for_the_wave_before() -> None:
    found = jobs(WORKFLOWS["github.yml"])
    assert [*found] == ["wave-1", "wave-2"]
    assert "needs" not in found["wave-1"]
    assert found["wave-2"]["needs"] == ["wave-1"]
    rows = found["wave-2"]["strategy"]["matrix"]["include"]
    assert [(row["target"], row["runner"], row["push"]) for row in rows] == [
        ("api", "ubuntu-24.04-arm", True),
        ("web", "ubuntu-24.04", False),
    ]


def test_a_big_wave_is_several_matrices_that_the_next_waits_for() -> None:
    waves: list[Wave] = [tuple(Job(f"t{n}") for n in range(600)), (Job("last"),)]
    found = jobs(workflow(waves, GitHub(GHA, INSTALL)))
    assert [len(job["strategy"]["matrix"]["include"]) for job in found.values()] == [256, 256, 88, 1]
    assert found["wave-2"]["needs"] == ["wave-1", "wave-1-2", "wave-1-3"]
    with pytest.raises(BakeryError, match="more than the 256 jobs"):
        affected_workflow(waves, GitHub(GHA, INSTALL))


def test_a_job_of_gitlab_needs_its_links_or_the_stage_before() -> None:
    found = yaml.safe_load(WORKFLOWS["gitlab.yml"])
    assert found["stages"] == ["wave-1", "wave-2"]
    assert found["build api"]["needs"] == ["build base"]
    assert found["build base"]["needs"] == []
    many = [tuple(Job(f"t{n}") for n in range(51)), (Job("last", needs=tuple(f"t{n}" for n in range(51))),)]
    assert "needs" not in yaml.safe_load(pipeline(many, GitLab(None, INSTALL)))["build last"]


def test_nothing_to_build_is_still_a_workflow() -> None:
    assert [*jobs(workflow([(), ()], GitHub(GHA, INSTALL)))] == ["nothing"]
    assert [*yaml.safe_load(pipeline([()], GitLab(None, INSTALL)))] == ["nothing to build"]


def test_json_is_one_line_with_every_wave() -> None:
    text = as_json([*WAVES, ()], GHA)
    assert text.count("\n") == 1
    found = json.loads(text)
    assert [[job["target"] for job in wave["include"]] for wave in found["waves"]] == [["base"], ["api", "web"], []]
    assert found["cache"] == "type=gha,scope=bakery"
    assert found["waves"][1]["include"][1] == {
        "target": "web",
        "platforms": "linux/amd64,linux/arm64",
        "runner": "ubuntu-24.04",
        "push": False,
        "needs": ["base"],
    }


def test_a_matrix_numbers_its_waves() -> None:
    rows = json.loads(as_matrix(WAVES, "mine"))["include"]
    assert [(row["target"], row["wave"], row["runner"]) for row in rows] == [
        ("base", 1, "mine"),
        ("api", 2, "mine"),
        ("web", 2, "mine"),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project, and a `bakery` that resolves what a job would build, and builds nothing."""
    (tmp_path / "docker-bake.hcl").write_text(
        'variable "V" { default = "" }\ntarget "api" {\n  tags = ["api:1"]\n  args = { V = V }\n'
        '  cache-from = ["type=local,src=own"]\n}\n'
    )
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin/bakery"
    stub.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m bakery "$@" --print 2>&1\n')
    stub.chmod(0o755)
    return tmp_path


def shell(script: str, folder: Path, **env: str) -> Any:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": path, **env}
    done = subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["target"]["api"]


OWN = {"type": "local", "src": "own"}


@pytest.mark.parametrize("trusted", ["true", "false"])
def test_a_job_of_github_builds_its_target_with_the_shared_cache(trusted: str, folder: Path) -> None:
    script = jobs(WORKFLOWS["github.yml"])["wave-2"]["steps"][-1]["run"]
    target = shell(script, folder, TARGET="api", TRUSTED=trusted, PUSH="true")
    assert target["cache-from"] == [OWN, {"type": "gha", "scope": "bakery"}]
    written = [{"type": "gha", "scope": "bakery", "mode": "max", "ignore-error": "true"}]
    assert target.get("cache-to") == (written if trusted == "true" else None)
    assert ("output" in target) is (trusted == "true")


@pytest.mark.parametrize("branch", ["main", "other"])
def test_a_job_of_gitlab_does(branch: str, folder: Path) -> None:
    (script,) = yaml.safe_load(WORKFLOWS["gitlab.yml"])[".bakery"]["script"]
    env = {"TARGET": "api", "PUSH": "true", "CI_COMMIT_BRANCH": branch, "CI_REGISTRY_IMAGE": "reg.test/my/app"}
    target = shell(script, folder, **env)
    assert target["cache-from"] == [OWN, {"type": "registry", "ref": "reg.test/my/app/cache:bakery"}]
    assert ("cache-to" in target, "output" in target) == ((True, True) if branch == "main" else (False, False))


def test_what_was_given_reaches_the_build_as_it_was(folder: Path) -> None:
    again = given(LoadRequest(overrides=(f"api.args.V={EVIL}",), files=("docker-bake.hcl",)), locked=False)
    script = jobs(workflow(WAVES, GitHub(None, INSTALL, again)))["wave-2"]["steps"][-1]["run"]
    assert shell(script, folder, TARGET="api", TRUSTED="true")["args"]["V"] == EVIL
    assert not (folder / "broken").exists()


def test_several_lines_have_no_place_in_a_workflow() -> None:
    with pytest.raises(BakeryError, match="a value of --var has several lines"):
        given(LoadRequest(variables=("A=1\n- run: evil",)), locked=False)
    assert given(LoadRequest(), locked=True) == "--locked"


def test_in_a_cache_reference_only_variables_are_filled_in() -> None:
    word = shell_text('$HOST/a"`touch x`$(touch y)\\')
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], env={"HOST": "h"}, capture_output=True, text=True)
    assert done.stdout == 'h/a"`touch x`$(touch y)\\'
    assert shell_text("a b") == shlex.quote("a b")


def test_the_login_of_gitlab_is_what_docker_reads(tmp_path: Path) -> None:
    script = yaml.safe_load(WORKFLOWS["gitlab.yml"])[".bakery"]["before_script"][1]
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CI_REGISTRY": "reg.test"}
    env |= {"CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": "p" * 80}
    subprocess.run(["bash", "-e", "-c", script], env=env, check=True)
    auth = json.loads((tmp_path / ".docker/config.json").read_text())["auths"]["reg.test"]["auth"]
    decoded = subprocess.run(["base64", "-d"], input=auth, capture_output=True, text=True, check=True).stdout
    assert decoded == "u:" + "p" * 80

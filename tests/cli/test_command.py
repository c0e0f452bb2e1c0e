"""The command as a whole process: what it prints where, and what it ends with."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.patience import PATIENCE

from bakery.version import VERSION

ROOT = Path(__file__).parents[2]
BAKE = """\
variable "TAG" {
  default = "dev"
  description = "What images are tagged with"
}
group "default" {
  targets = ["api", "web"]
}
target "api" {
  description = "The service"
  context = "."
  tags = ["example/api:${TAG}"]
}
target "web" {
  context = "."
}
target "_base" {
  context = "."
}
"""


def bakery(cwd: Path, *arguments: str, python: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
    hidden = ("BUILDKIT_PROGRESS", "BUILDX_BAKE_FILE", "CI")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    environ |= {"PYTHONPATH": str(ROOT), "BAKERY_ROOT": str(cwd / "state"), **env}
    command = [sys.executable, *python, "-m", "bakery", *arguments]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def imported(process: subprocess.CompletedProcess[str]) -> set[str]:
    return {line.split("|")[-1].strip() for line in process.stderr.splitlines() if line.startswith("import time:")}


def test_the_version_is_that_of_the_package() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_asking_for_the_version_imports_next_to_nothing(flag: str, tmp_path: Path) -> None:
    asked = bakery(tmp_path, flag, python=("-X", "importtime"))
    assert asked.stdout == f"bakery {VERSION}\n"
    assert not imported(asked) & {"click", "trio", "yaml", "engine", "rich", "re", "dataclasses", "json"}


def test_help_imports_no_verb_and_nothing_costly(tmp_path: Path) -> None:
    asked = bakery(tmp_path, "--help", python=("-X", "importtime"))
    assert re.search(r"build +Build the targets of a bake file\.", asked.stdout)
    loaded = imported(asked)
    assert not loaded & {"trio", "yaml", "engine.engine", "rich", "networkx", "jinja2", "hcl2", "bakery.cli.build"}
    assert not any(name.startswith("bakery.config") for name in loaded)


def test_printing_needs_no_engine(project: Path) -> None:
    printed = bakery(project, "build", "--print", python=("-X", "importtime"))
    assert list(json.loads(printed.stdout)["target"]) == ["api", "web"]
    loaded = imported(printed) - {"engine", "engine.values"}
    assert not {name for name in loaded if name.split(".")[0] in ("engine", "trio", "rich", "networkx")}


def test_a_build_with_nothing_to_do_imports_nothing_that_does_it(project: Path) -> None:
    (project / "Dockerfile").write_text("FROM scratch\nCOPY docker-bake.hcl /\n")
    assert bakery(project, "build").returncode == 0
    again = bakery(project, "build", python=("-X", "importtime"))
    assert again.returncode == 0
    loaded = imported(again)
    assert "engine.engine" in loaded
    idle = ("engine.archive", "engine.sandbox", "engine.registry.client", "engine.ops.file.copier")
    assert not {name for name in loaded if name.startswith(idle)}
    assert not loaded & {"tarfile", "rich", "jinja2", "networkx", "httpx2", "email", "asyncio"}


def test_what_was_said_is_all_there_although_the_process_ends_at_once(project: Path) -> None:
    names = [f"t{n}" for n in range(3000)]
    (project / "docker-bake.hcl").write_text("".join(f'target "{name}" {{}}\n' for name in names))
    assert set(json.loads(bakery(project, "build", *names, "--print").stdout)["target"]) == set(names)


def test_the_help_of_a_verb_is_that_of_the_list(tmp_path: Path) -> None:
    from bakery.cli.app import VERBS

    for name, line in VERBS.items():
        assert bakery(tmp_path, name, "--help").stdout.splitlines()[2].strip().startswith(line.rstrip("."))


def test_a_folder_with_nothing_says_how_to_begin(tmp_path: Path) -> None:
    alone = bakery(tmp_path)
    assert alone.stdout.startswith("There is no bake file and no Dockerfile in this folder.\n")
    assert alone.returncode == 0


def test_a_folder_with_a_bake_file_says_what_can_be_built(project: Path) -> None:
    alone = bakery(project).stdout
    assert alone.startswith(bakery(project, "ls").stdout)
    assert "bakery build          builds the group" in alone


def test_dockerfiles_below_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "services" / "api").mkdir(parents=True)
    (tmp_path / "services" / "api" / "Dockerfile").write_text("FROM scratch\n")
    alone = bakery(tmp_path).stdout
    assert "there are Dockerfiles below it: services/api/Dockerfile\n" in alone
    assert "bakery init           writes a bake file" in alone


def test_an_unknown_command_is_wrong_usage(tmp_path: Path) -> None:
    wrong = bakery(tmp_path, "buidl")
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("Error: There is no command 'buidl'. Did you mean 'build'?\n")
    assert bakery(tmp_path, "api").stderr.endswith("There is no command 'api'. To build a target: bakery build api\n")


def test_wrong_options_are_wrong_usage(project: Path) -> None:
    assert bakery(project, "build", "--progress", "loud").returncode == 2
    assert bakery(project, "build", "--print", "--list", "targets").returncode == 2
    assert bakery(project, "build", "--jobs", "0").returncode == 2


def test_ls_shows_targets_groups_and_variables(project: Path) -> None:
    assert bakery(project, "ls").stdout == (
        "TARGET  DESCRIPTION\n"
        "api     The service\n"
        "web\n"
        "\n"
        "GROUP    MEMBERS\n"
        "default  api, web\n"
        "\n"
        "VARIABLE  VALUE  DESCRIPTION\n"
        "TAG       dev    What images are tagged with\n"
    )


def test_ls_as_json(project: Path) -> None:
    assert json.loads(bakery(project, "ls", "--format", "json").stdout) == {
        "targets": [{"name": "api", "description": "The service"}, {"name": "web"}],
        "groups": [{"name": "default", "targets": ["api", "web"]}],
        "variables": [{"name": "TAG", "value": "dev", "description": "What images are tagged with"}],
    }


def test_version_tells_what_it_runs_on(tmp_path: Path) -> None:
    facts = json.loads(bakery(tmp_path, "version", "--format", "json").stdout)
    assert facts["version"] == VERSION
    assert facts["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert bakery(tmp_path, "version").stdout.startswith(f"bakery {VERSION} (Python {facts['python']}, ")


def test_an_unknown_target_is_one_line(project: Path) -> None:
    wrong = bakery(project, "build", "nosuch", "--print")
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert wrong.stderr.startswith("ERROR: failed to find target nosuch")


def test_a_syntax_error_has_its_line(project: Path) -> None:
    (project / "docker-bake.hcl").write_text('target "a" {\n  context = \n}\n')
    wrong = bakery(project, "build")
    assert wrong.returncode == 1
    assert "   2 | >>>   context = \n" in wrong.stderr
    assert "\nERROR: docker-bake.hcl:2," in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_what_was_not_allowed_is_told_with_the_flag_that_allows_it(project: Path) -> None:
    wrong = bakery(project, "build", "api", "--set", "api.contexts.src=../outside")
    assert wrong.returncode == 1
    assert "to allow it, add --allow fs.read=../outside" in wrong.stderr


def test_a_reader_that_goes_away_is_no_error_worth_words(project: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bakery", "build", "--print"]
    process = subprocess.run(
        command,
        cwd=project,
        env=environ,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(write)
    assert process.stderr == ""


def test_the_shell_completes_names_of_targets_and_groups(project: Path) -> None:
    def complete(words: str, at: int) -> list[str]:
        asked = bakery(project, _BAKERY_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at))
        return [line.removeprefix("plain,") for line in asked.stdout.splitlines()]

    assert sorted(complete("bakery build ", 2)) == ["api", "default", "web"]
    assert complete("bakery build a", 2) == ["api"]
    assert complete("bakery build api w", 3) == ["web"]
    assert complete("bakery l", 1) == ["llb", "lock", "ls"]

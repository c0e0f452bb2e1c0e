"""Every command looks into the state folder that the settings name, unless a flag or the environment says otherwise."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from support.git import git
from support.program import Program

from bakery.cli.app import cli
from bakery.cli.manual import commands
from bakery.cli.watching import watch
from bakery.config.request import LoadRequest

GROUPS = {"cache", "ci", "context", "history"}
BAKE = 'target "app" {\n  dockerfile-inline = "FROM scratch\\nCOPY file /"\n  output = ["type=cacheonly"]\n}\n'


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A project whose settings keep the state in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {"docker-bake.hcl": BAKE, "file": "1", "bakery.toml": 'root = "state"\n'}.items():
        (folder / name).write_text(text)
    usual = {"BAKERY_ROOT": "", "XDG_DATA_HOME": str(tmp_path / "usual"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return Program(folder, tmp_path / "unused", usual)


COMMANDS = [
    "build app",
    "affected app",
    "cache ls",
    "cache seed id file",
    "cache rm id",
    "check app",
    "ci github --base HEAD",
    "ci gitlab --base HEAD",
    "ci json --base HEAD",
    "context ls app",
    "debug app",
    "du",
    "doctor",
    "explain app",
    "export app --output type=oci,dest=app.tar",
    "graph app -o graph.svg",
    "history ls",
    "history show",
    "history logs",
    "history export",
    "inspect",
    "llb app",
    "lock app",
    "plan app",
    "report",
    "verify app",
    "history compare",
    "prune --force",
    "history rm --all",
]


@pytest.mark.slow
def test_what_is_set_is_where_everything_looks(program: Program) -> None:
    for arguments in (["init", "-q"], ["add", "docker-bake.hcl", "file", "bakery.toml"], ["commit", "-qm", "one"]):
        git(program.folder, *arguments)
    for command in COMMANDS:
        program.run(*command.split())
        assert not (program.folder.parent / "usual").exists(), command
    assert (program.folder / "state").is_dir()


def test_no_command_with_a_state_folder_is_left_out() -> None:
    """A new one belongs into the list above."""
    have = {
        context.command_path.removeprefix("bakery ")
        for context in commands(cli, click.Context(cli, info_name="bakery"))
        if any(parameter.name == "root" for parameter in context.command.params)
    }
    assert have <= {" ".join(command.split()[: 1 + (command.split()[0] in GROUPS)]) for command in COMMANDS}


def test_a_watch_leaves_out_the_folder_that_it_writes_to_itself(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would look again and again for as long as it goes."""
    seen: list[Path] = []

    class Looking:
        def __init__(self, command: object, folder: Path, root: Path, say: object, files: object) -> None:
            seen.append(root)

        async def run(self) -> None:
            pass

    monkeypatch.chdir(program.folder)
    monkeypatch.delenv("BAKERY_ROOT", raising=False)
    monkeypatch.setattr("bakery.watch.loop.Watch", Looking)
    for option in (None, "other"):
        watch(LoadRequest(), {"root": option})
    assert seen == [program.folder / "state", program.folder / "other"]

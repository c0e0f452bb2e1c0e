"""What is said to those who ask how: help, examples, the manual, completion in the shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.patience import PATIENCE

from bakery.cli.app import VERBS, cli
from bakery.cli.manual import as_man, as_markdown, commands

ROOT = Path(__file__).resolve().parent.parent.parent
BAKE = 'target "api" {}\ntarget "app" {}\ngroup "all" { targets = ["api", "app"] }\n'


def contexts() -> list[click.Context]:
    return list(commands(cli, click.Context(cli, info_name="bakery")))


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    program = [sys.executable, "-P", "-m", "bakery"]
    return subprocess.run([*program, *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE)


def test_every_verb_has_help_that_begins_with_its_line_and_an_example() -> None:
    context = click.Context(cli, info_name="bakery")
    for name in VERBS:
        command = cli.get_command(context, name)
        assert command
        assert command.help
        assert "Examples:" in (command.epilog or "") + command.help, name


def test_every_option_has_help() -> None:
    silent = [
        f"{context.command_path} {option.name}"
        for context in contexts()
        for option in context.command.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]
    assert not silent


def test_the_manual_names_every_verb_and_is_what_man_takes(tmp_path: Path) -> None:
    text = as_man(contexts())
    for name in VERBS:
        assert f'"BAKERY {name.upper()}' in text
    if not shutil.which("man"):
        pytest.skip("needs man")
    (tmp_path / "bakery.1").write_text(text)
    shown = subprocess.run(
        ["man", "--warnings", "-l", tmp_path / "bakery.1"],
        capture_output=True,
        text=True,
        env={**os.environ, "MANWIDTH": "100"},
    )
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "--metadata-file FILE" in shown.stdout


def test_the_manual_has_nothing_that_mandoc_finds_wrong(tmp_path: Path) -> None:
    if not shutil.which("mandoc"):
        pytest.skip("needs mandoc")
    (tmp_path / "bakery.1").write_text(as_man(contexts()))
    said = subprocess.run(["mandoc", "-Tlint", "-Wwarning", tmp_path / "bakery.1"], capture_output=True, text=True)
    # A page that is the same whenever it is written has no date.
    assert [line for line in said.stdout.splitlines() if "missing date" not in line] == []


def test_the_reference_has_a_part_for_every_command() -> None:
    text = as_markdown(contexts())
    for context in contexts():
        assert f"# {context.command_path}\n" in text


def test_the_hidden_verb_prints_it(tmp_path: Path) -> None:
    assert run("manual", cwd=tmp_path).stdout.startswith(".TH BAKERY 1")
    assert "manual" not in run("--help", cwd=tmp_path).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str, tmp_path: Path) -> None:
    for done in (run("completion", shell, cwd=tmp_path), run("completion", cwd=tmp_path, SHELL=f"/bin/{shell}")):
        assert done.returncode == 0, done.stderr
        assert f"_BAKERY_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(done.stdout)
        assert subprocess.run([shell, "-n", script]).returncode == 0


def test_an_unknown_shell_is_asked_about(tmp_path: Path) -> None:
    done = run("completion", cwd=tmp_path, SHELL="/bin/ash")
    assert done.returncode == 2
    assert "name the shell: bash, zsh, fish" in done.stderr

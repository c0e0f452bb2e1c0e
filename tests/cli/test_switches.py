"""Switches stand by themselves or take a value after `=`, as in `docker buildx bake`."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from bakery.cli.app import cli
from bakery.cli.manual import commands
from bakery.cli.switches import SwitchCommand


@click.command("try", cls=SwitchCommand)
@click.option("no_cache", "--no-cache", is_flag=False, flag_value="true")
@click.option("push", "--push", is_flag=True)
@click.argument("targets", nargs=-1)
def attempt(no_cache: str | None, push: bool, targets: tuple[str, ...]) -> None:
    click.echo(f"{no_cache} {push} {' '.join(targets)}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--no-cache", "web"], "true False web"),
        (["--no-cache=false", "web"], "false False web"),
        (["web", "--no-cache"], "true False web"),
        (["--no-cache", "--push", "web"], "true True web"),
        (["--", "--no-cache"], "None False --no-cache"),
        (["web"], "None False web"),
    ],
)
def test_a_switch_never_takes_a_target_for_its_value(arguments: list[str], said: str) -> None:
    assert CliRunner().invoke(attempt, arguments).output == f"{said}\n"


def test_every_command_with_switches_has_them_so() -> None:
    for context in commands(cli, click.Context(cli, info_name="bakery")):
        if any(parameter.name == "no_cache" for parameter in context.command.params):
            assert isinstance(context.command, SwitchCommand), context.command_path

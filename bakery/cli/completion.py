"""Completion of verbs, options and target names in bash, zsh and fish."""

from __future__ import annotations

import os
from pathlib import Path

import click

_EPILOG = """\b
Examples:
  bakery completion bash > ~/.local/share/bash-completion/completions/bakery
  bakery completion zsh > ~/.zfunc/_bakery        with ~/.zfunc in $fpath before compinit
  bakery completion fish > ~/.config/fish/completions/bakery.fish
  eval "$(bakery completion)"                     for this shell only"""
SHELLS = ("bash", "zsh", "fish")


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Make a shell complete targets and verbs.

    Prints a script for the shell that is named, or for that of $SHELL.
    """
    from click.shell_completion import get_completion_class

    from bakery.cli.app import cli

    name = shell or _shell_of(os.environ.get("SHELL", ""))
    found = get_completion_class(name)
    assert found is not None
    click.echo(found(cli, {}, "bakery", "_BAKERY_COMPLETE").source(), nl=True)


def complete_target(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names that begin with what was typed, but those given already; none where the bake files cannot be read."""
    from bakery import config
    from bakery.diagnostics import BakeryError

    files = tuple(context.params.get("files") or ())
    given = set(context.params.get("names") or ())
    try:
        listing = config.list_declared(config.LoadRequest(files=files, env=os.environ, cwd=Path.cwd()))
    except BakeryError:
        return []
    return [item.name for item in listing.targets if item.name.startswith(incomplete) and item.name not in given]


def _shell_of(path: str) -> str:
    name = Path(path).name
    if name not in SHELLS:
        raise click.UsageError(f"name the shell: {', '.join(SHELLS)}")
    return name

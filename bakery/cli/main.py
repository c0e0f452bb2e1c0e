"""The `bakery` command. Each verb is a module of this folder, imported when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from bakery.diagnostics import BakeryError

VERBS = {
    "build": "bakery.cli.build",
}
"""Verb to the module that has the command of that name."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is wanted."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All verbs."""
        return sorted(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of a verb."""
        if name not in VERBS:
            return None
        command = getattr(importlib.import_module(VERBS[name]), name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Declarative builds: one bake file, one merged graph, one built-in engine."""


def main() -> int:
    """Run the command of this process's arguments and return its exit code."""
    try:
        result = cli.main(prog_name="bakery", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except BakeryError as error:
        from bakery.cli.report import report_error

        report_error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("canceled", err=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())

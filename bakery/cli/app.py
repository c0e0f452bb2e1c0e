"""The verbs of `bakery`. Each is a module of this folder, imported when it is called and not before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VERBS = {
    "affected": "List targets that changed between two git states.",
    "build": "Build the targets of a bake file.",
    "cache": "List, fill and remove cache mounts.",
    "check": "Check bake files and Dockerfiles without building.",
    "ci": "Write the jobs of a CI that builds the targets, in waves.",
    "completion": "Make a shell complete targets and verbs.",
    "context": "Look at the build contexts of targets.",
    "convert": "Write a definition in another format.",
    "debug": "Open a shell in a step of a target.",
    "doctor": "Check the state folder and this machine.",
    "du": "Show what takes space in the state folder.",
    "explain": "Say why steps of a build ran.",
    "export": "Send results of the last build to further outputs.",
    "fmt": "Lay out HCL files.",
    "graph": "Draw targets and what links them, or their stages and steps.",
    "history": "Look at the builds that were made.",
    "images": "Look at, copy, tag, compare and sign images.",
    "inspect": "Show what this machine can build, and with what.",
    "init": "Write a first bake file.",
    "llb": "Print the graph of targets as LLB, without building.",
    "lock": "Write down what images, git refs and URLs mean.",
    "ls": "List targets, groups and variables.",
    "plan": "Say what a build would do, without doing it.",
    "prune": "Free space in the state folder.",
    "report": "Write a build as one HTML page.",
    "verify": "Build again without cache, and compare.",
    "version": "Show the version, and what it runs on.",
}
"""Each verb and its help, which stands here so that `--help` imports none of them."""
HIDDEN = ("manual",)
"""Verbs for those who package bakery."""

EXAMPLES = """\b
Examples:
  bakery build                     build the targets of the group "default"
  bakery build api web --push      build two targets and push their images
  bakery build --print             show what would be built, as JSON
  bakery build --set "*.platform=linux/arm64" --progress plain
  bakery ls                        list what can be built here"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is wanted."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All verbs."""
        return sorted(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of a verb, or None."""
        if name not in VERBS and name not in HIDDEN:
            return None
        command = getattr(importlib.import_module(f"bakery.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs and options that begin with what was typed; no verb is imported for it."""
        from click.shell_completion import CompletionItem

        options = click.Command.shell_complete(self, context, incomplete) if incomplete.startswith("-") else []
        return [CompletionItem(n, help=text) for n, text in VERBS.items() if n.startswith(incomplete)] + options

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with. Raises UsageError, with what may have been meant."""
        name = args[0]
        if name not in VERBS and name not in HIDDEN and not name.startswith("-"):
            from bakery.diagnostics import did_you_mean

            near = did_you_mean(name, VERBS)
            meant = f"Did you mean {near!r}?" if near else f"To build a target: bakery build {name}"
            raise click.UsageError(f"There is no command {name!r}. {meant}", context)
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, VERBS[name]) for name in sorted(VERBS)])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXAMPLES,
)
@click.option("-D", "--debug", is_flag=True, help="Show more when something goes wrong.")
@click.option("-V", "--version", "version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context, debug: bool, version: bool) -> None:
    """Declarative builds: one bake file, one merged graph, one built-in engine."""
    context.obj = debug
    if version:
        from bakery.version import VERSION

        click.echo(f"bakery {VERSION}")
        context.exit()
    if context.invoked_subcommand is None:
        from bakery.cli.start import how_to_begin

        click.echo(how_to_begin(), nl=False)

"""`bakery manual`: the manual page, or a reference in Markdown, from the same texts that `--help` shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bakery.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENT = {
    "BAKERY_ROOT": "The state folder; otherwise $XDG_DATA_HOME/bakery.",
    "BUILDKIT_PROGRESS": "What --progress is where it is not given.",
    "BUILDX_BAKE_FILE": "Definition files where no -f is given.",
    "COSIGN_PASSWORD": "The password of the key that `bakery images sign` signs with.",
    "DOCKER_CONFIG": "The folder of config.json, which has the credentials of registries.",
    "NO_COLOR, FORCE_COLOR": "No colours, or colours even where the output is no terminal.",
    "BUILDKIT_COLORS": "The colours of the live view, such as run=green:error=255,0,0.",
    "BUILDKIT_TTY_LOG_LINES": "How many lines of its log a running step shows.",
    "BUILDKIT_STEP_LOG_MAX_SIZE, BUILDKIT_STEP_LOG_MAX_SPEED": "Bytes of one step's log that are shown, in all and a"
    " second; -1 for no limit.",
    "SOURCE_DATE_EPOCH": "The time that images are given, in seconds since 1970.",
}
EXITS = {
    "0": "All is well.",
    "1": "The build, or what was asked for, failed.",
    "2": "The command line is wrong.",
    "130": "Interrupted.",
}


@click.command("manual", hidden=True)
@click.option("form", "--format", type=click.Choice(["man", "markdown"]), default="man", help="How to write it.")
@click.pass_context
def manual(context: click.Context, form: str) -> None:
    """Print the manual.

    \b
    Examples:
      bakery manual > bakery.1
      bakery manual --format markdown > docs/commands.md
    """
    parent = context.parent
    assert parent is not None
    assert isinstance(parent.command, click.Group)
    contexts = list(commands(parent.command, parent))
    click.echo(as_man(contexts) if form == "man" else as_markdown(contexts), nl=False)


def commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """The context of a group and those of all commands in it that are not hidden, groups before what they hold."""
    yield context
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from commands(command, inner)
        else:
            yield inner


def as_man(contexts: Sequence[click.Context]) -> str:
    """A manual page, in the macros of man(7)."""
    out = [f'.TH BAKERY 1 "" "bakery {VERSION}" "User Commands"', ".SH NAME", r"bakery \- declarative image builds"]
    out += [".SH SYNOPSIS", r".B bakery", r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGS\fR]..."]
    for context in contexts:
        root = context.parent is None
        out += [".SH DESCRIPTION" if root else f'.SH "{_man(context.command_path.upper())}"']
        if not root:
            out += [rf"\fB{_man(context.command_path)}\fR {_man(_usage(context))}", ".PP"]
        paragraphs = [_man(paragraph) for paragraph in _paragraphs(context)]
        out += ["\n.PP\n".join(paragraphs)] if paragraphs else []
        for names, text in _options(context):
            out += [".TP", rf"\fB{_man(names)}\fR", _man(text)]
        if examples := _examples(context):
            out += [".PP", "Examples:", "", ".nf", *map(_man, examples), ".fi"]
    for title, entries in (("ENVIRONMENT", ENVIRONMENT), ("EXIT STATUS", EXITS)):
        out.append(f'.SH "{title}"')
        for name, text in entries.items():
            out += [".TP", rf"\fB{_man(name)}\fR", _man(text)]
    return "\n".join(out) + "\n"


def as_markdown(contexts: Sequence[click.Context]) -> str:
    """A reference for a site or a reader of the repository."""
    out = ["# Commands", "", "Written by `bakery manual --format markdown` from the texts of `--help`.", ""]
    for context in contexts:
        depth = context.command_path.count(" ")
        out += [f"{'#' * (2 + min(depth, 2))} {context.command_path}", ""]
        out += ["```", f"{context.command_path} {_usage(context)}".rstrip(), "```", ""]
        out += [text for paragraph in _paragraphs(context) for text in (_marked(paragraph), "")]
        options = list(_options(context))
        out += [f"- `{names}`: {_marked(text)}" for names, text in options] + ([""] if options else [])
        if examples := _examples(context):
            out += ["```sh", *examples, "```", ""]
    out += ["## Environment", "", *(f"- `{name}`: {text}" for name, text in ENVIRONMENT.items()), ""]
    out += ["## Exit status", "", *(f"- `{name}`: {text}" for name, text in EXITS.items())]
    return "\n".join(out) + "\n"


def _usage(context: click.Context) -> str:
    return " ".join(context.command.collect_usage_pieces(context))


def _paragraphs(context: click.Context) -> list[str]:
    text = (context.command.help or "").split("\f")[0].replace("\b\n", "")
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def _options(context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[0] != "-h, --help":
            yield record


def _examples(context: click.Context) -> list[str]:
    lines = (context.command.epilog or "").replace("\b\n", "").splitlines()
    return [line.removeprefix("  ") for line in lines if line.startswith("  ")]


def _man(text: str) -> str:
    """Text in which nothing is a request or an escape of troff."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in text.split("\n"))


def _marked(text: str) -> str:
    return text.replace("*", r"\*").replace("<", "&lt;")

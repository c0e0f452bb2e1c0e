"""`bakery context`: what the folders of targets offer, and what of it is used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from bakery.cli import examples
from bakery.cli.apply_settings import apply_settings
from bakery.cli.build_options import load_request, lower_options
from bakery.cli.switches import SwitchCommand
from bakery.console.text import printable, size

if TYPE_CHECKING:
    from engine.frontends.dockerfile.context_files import ContextListing


@click.group("context", epilog=examples.CONTEXT)
def context() -> None:
    """Look at the build contexts of targets."""


@context.command("ls", cls=SwitchCommand, epilog=examples.CONTEXT)
@lower_options
@click.option("form", "--format", type=click.Choice(["table", "json"]), default="table", help="How to write it.")
def ls(form: str, **options: Any) -> None:
    """List the files of targets' contexts: offered, used, or left out by which rule.

    A file is used if a COPY, ADD or mount of the target asks for it or a folder that it is in.
    """
    request = load_request(options)
    apply_settings(options, remote=bool(request.remote))
    from bakery import config
    from bakery.cli.complaints import report_warnings
    from bakery.cli.grants import check_grants
    from bakery.cli.run import build_options
    from bakery.graph.build import lower_project
    from engine.frontends.dockerfile.context_files import contexts

    project = config.load(request)
    report_warnings(project.warnings)
    lowered = lower_project(project, build_options(options, check_grants(project, request)))
    found = {
        name: contexts(lowered[name].request, [one.definition for one in lowered[name].result.platforms])
        for name, target in project.targets.items()
        if target.requested
    }
    fetched = [(name, *one) for name in found for one in _fetched(lowered[name].request.options)]
    if form == "json":
        documents = [_document(name, one) for name, listings in found.items() for one in listings]
        documents += [{"target": name, "context": context, "fetchedFrom": url} for name, context, url in fetched]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
    else:
        texts = [_table(name, one) for name, listings in found.items() for one in listings]
        texts += [_fetched_text(*one) for one in fetched]
        click.echo("\n".join(texts) or "No target has files as context.\n", nl=False)


def _fetched(options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The contexts of a target that are repositories or downloads: their names and addresses."""
    from bakery.graph.frontend_request import is_remote
    from engine.sources.downloads import redacted

    for key, value in options.items():
        name = "context" if key == "context" else key.removeprefix("context:")
        if (key == "context" or key.startswith("context:")) and is_remote(value):
            yield name, redacted(value)


def _fetched_text(target: str, context: str, url: str) -> str:
    return (
        f"{target}: context {context} ({url})\n  is fetched, so all its files are offered: no .dockerignore applies\n"
    )


def _document(target: str, listing: ContextListing) -> dict[str, Any]:
    used = [file for file in listing.files if file.used]
    return {
        "target": target,
        "context": listing.name,
        "folder": str(listing.folder),
        "ignoreFile": listing.ignore_file or None,
        "offered": {"files": len(listing.files), "bytes": sum(file.size for file in listing.files)},
        "used": {"files": len(used), "bytes": sum(file.size for file in used)},
        "files": [{"path": file.path, "bytes": file.size, "used": file.used} for file in listing.files],
        "leftOut": [
            {
                "path": one.path,
                "bytes": one.size,
                "files": one.files,
                "rule": one.rule.written,
                "line": one.rule.line,
            }
            for one in listing.left_out
        ],
    }


def _table(target: str, listing: ContextListing) -> str:
    used = [file for file in listing.files if file.used]
    head = (
        f"{target}: context {listing.name} ({listing.folder})\n"
        f"  offers {_total(file.size for file in listing.files)}, uses {_total(file.size for file in used)}\n"
    )
    rows = [("yes" if file.used else "no", size(file.size), _shown(file.path)) for file in listing.files]
    out = head + _columns(("USED", "SIZE", "FILE"), rows)
    hidden = [
        (f"{listing.ignore_file}:{one.rule.line}", one.rule.written, size(one.size), _shown(one.path))
        for one in listing.left_out
    ]
    return out + ("\n" if hidden else "") + _columns(("LEFT OUT BY", "RULE", "SIZE", "FILE"), hidden)


def _total(sizes: Iterable[int]) -> str:
    known = list(sizes)
    return f"{len(known):,} file{'' if len(known) == 1 else 's'} of {size(sum(known))}"


def _shown(path: str) -> str:
    return printable(path.encode("utf-8", "surrogateescape"))


def _columns(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return "".join(f"  {line.rstrip()}\n" for line in lines)

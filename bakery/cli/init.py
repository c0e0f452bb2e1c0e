"""`bakery init`: a first bake file."""

from __future__ import annotations

from pathlib import Path

import click

from bakery.cli import examples


@click.command("init", epilog=examples.INIT)
@click.option("output", "-o", "--output", default="bakery.hcl", show_default=True, help="The file; `-` is stdout.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def init(output: str, force: bool) -> None:
    """Write a first bake file from the Dockerfiles and Compose files found here."""
    from bakery.config.starter import starter_file
    from bakery.diagnostics import BakeryError

    text = starter_file(Path.cwd())
    if output == "-":
        click.echo(text, nl=False)
        return
    try:
        with open(output, "w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BakeryError.of(f"{output} is there already", hint="--force replaces it, -o names another file") from None
    except OSError as error:
        raise BakeryError.of(f"cannot write {output}", error.strerror or "") from None
    click.echo(f"Wrote {output}. `bakery build --print` shows what it builds.", err=True)

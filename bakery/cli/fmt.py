"""`bakery fmt`: HCL files in one layout."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from bakery.cli import examples


@click.command("fmt", epilog=examples.FMT)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--check", is_flag=True, help="Change nothing; name the files that would change, and exit with 1.")
def fmt(files: tuple[str, ...], check: bool) -> int:
    """Lay out HCL files; `-` is stdin to stdout. Without files: all *.hcl of this folder."""
    from bakery.config.discover import decoded, read
    from bakery.config.hcl_format import format_hcl

    changed = False
    for name in files or tuple(sorted(path.name for path in Path().glob("*.hcl"))):
        if name == "-":
            click.echo(format_hcl(decoded("-", sys.stdin.buffer.read())), nl=False)
            continue
        found = read(name, Path.cwd())
        if found is None or (text := format_hcl(found.file)) == found.file.text:
            continue
        changed = True
        click.echo(name)
        if not check:
            _replace(Path(name), text)
    return 1 if check and changed else 0


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file at once, its mode kept."""
    mode = path.stat().st_mode & 0o7777
    target = path.resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise

"""What `bakery` alone says: what can be built here, or how to begin where there is nothing yet."""

from __future__ import annotations

from pathlib import Path

import click

_BEGIN = """\
There is no bake file and no Dockerfile in this folder.

With a Dockerfile here, `bakery build` builds it. To build several images, or one in several ways, declare
them in a file docker-bake.hcl:

    group "default" {
      targets = ["app"]
    }

    target "app" {
      context    = "."
      dockerfile = "Dockerfile"
      tags       = ["example/app:latest"]
      output     = ["type=oci,dest=app.tar"]
    }

Then:  bakery ls             shows the targets
       bakery build --print  shows what they come to
       bakery build          builds the group "default"

See `bakery --help` for all commands.
"""


def how_to_begin(context: click.Context, folder: Path | None = None) -> str:
    """The help of the command; in a folder without anything to build, how to begin."""
    from bakery.config.discover import DEFAULT_NAMES

    folder = folder or Path.cwd()
    if any((folder / name).is_file() for name in (*DEFAULT_NAMES, "Dockerfile")):
        return context.get_help() + "\n"
    return _BEGIN

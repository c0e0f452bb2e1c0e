"""What `bakery` alone says: what can be built here, or how to begin where there is nothing yet."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

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
_BELOW = """\
There is no bake file in this folder, but there are Dockerfiles below it: {found}

       bakery init           writes a bake file that builds them
       bakery ls             then shows the targets
       bakery build          builds them all

See `bakery --help` for all commands.
"""
_HERE = """
Try:   bakery build          builds the group "default"{default}
       bakery build {name:<9}builds one target
       bakery build --print  shows what would be built
       bakery history        shows the builds that were made

See `bakery --help` for all commands.
"""
_NAMED = 5
"""Dockerfiles that are named."""


def how_to_begin(folder: Path | None = None) -> str:
    """What can be built in a folder; in one without anything to build, how to begin.

    Raises BakeryError for a bake file that cannot be read.
    """
    from bakery.config.discover import DEFAULT_NAMES
    from bakery.config.starter import dockerfiles

    folder = folder or Path.cwd()
    if any((folder / name).is_file() for name in (*DEFAULT_NAMES, "Dockerfile")):
        return _here(folder)
    found = sorted(islice(dockerfiles(folder), 1000))
    if not found:
        return _BEGIN
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return _BELOW.format(found=", ".join(found[:_NAMED]) + more)


def _here(folder: Path) -> str:
    from bakery import config
    from bakery.console.declared import table

    listing = config.list_declared(config.LoadRequest(env=os.environ, cwd=folder))
    names = [target.name for target in listing.targets]
    target = next((t.name for t in listing.targets if t.group is None and t.name != "default"), "TARGET")
    default = "" if "default" in names else ", if there is one"
    return table(listing) + _HERE.format(name=target + " ", default=default)

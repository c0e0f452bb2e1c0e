"""Finding the step that somebody wants to look into."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from bakery.diagnostics import BakeryError
from engine.llb.definition import Edge, Vertex, walk

if TYPE_CHECKING:
    from engine.request import BuildRequest, Shell

_NUMBER = re.compile(r"(\d+)/\d+\]")


def without_outputs(request: BuildRequest) -> BuildRequest:
    """The same build, whose results go nowhere."""
    return replace(request, wanted=tuple(replace(wanted, exports=(), cache_to=()) for wanted in request.wanted))


def looking_into(request: BuildRequest, target: str, step: str, shell: Shell) -> BuildRequest:
    """A build of one target that ends with a shell in place of a step.

    `step` is its number as progress shows it (the 2 of `[build 2/5]`), with the stage before it if several have one
    (`build 2`), or a part of its name.

    Raises:
        BakeryError: if there is no such step, or several.
    """
    wanted = next(item for item in request.wanted if item.name == target)
    edges = [platform.edge for platform in wanted.platforms if platform.edge]
    steps = [vertex for vertex in walk(request.vertices, edges) if vertex.op.exec is not None]
    vertex = _one(steps, target, step)
    anew = replace(vertex, note=replace(vertex.note, ignore_cache=True))
    first = wanted.platforms[0]
    platform = replace(first, definition=replace(first.definition, root=Edge(vertex.digest)), scan=None)
    return replace(
        request,
        vertices={**request.vertices, vertex.digest: anew},
        wanted=(replace(wanted, platforms=(platform,), multi=False, exports=(), cache_to=()),),
        shell=replace(shell, instead_of=vertex.digest),
    )


def _one(steps: Iterable[Vertex], target: str, wanted: str) -> Vertex:
    steps = list(steps)
    found = [vertex for vertex in steps if _is_meant(vertex.note.name, wanted)]
    if len(found) == 1:
        return found[0]
    names = "".join(f"\n  {vertex.note.name}" for vertex in (found or steps))
    what = "has several such steps" if found else "has no such step that runs a command"
    raise BakeryError.of(
        f"{target} {what}: {wanted}", hint=f"give a number, `STAGE NUMBER` or a part of the name. There are:{names}"
    )


def _is_meant(name: str, wanted: str) -> bool:
    if not wanted.isdecimal():
        return wanted in name
    number = _NUMBER.search(name)
    return number is not None and number[1] == wanted

"""Why a step must run: what of it is not as it was when its target was last built.

A step has no name that survives every edit, so the one it is compared with is found by likeness: first the same work at
the same place, then the same work elsewhere, the same name, the same place in its stage, the same instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cached_property

from engine.digests import Digest
from engine.events import Change
from engine.llb.definition import Vertex
from engine.solver.makeup import BASE, FILES, SOURCE, STEP, Ingredient, Makeup, with_contents
from engine.solver.op_changes import op_changes
from engine.values import frozen


class Cause(Enum):
    """The main reason, the most basic one where there are several."""

    FIRST = "first"  # its target was never built here
    NEW = "new"  # the target was, but had no such step
    ANEW = "anew"  # the cache is to be ignored
    OPERATION = "operation"  # the instruction, its arguments, variables or options
    BASE = "base"
    SOURCE = "source"
    FILES = "files"
    INPUT = "input"  # another step that it builds upon
    UNFINISHED = "unfinished"  # it failed or was cancelled the last time
    LOST = "lost"  # its result was removed, or never kept


_CHECKSUM = "sha256:"
_CAUSES = {FILES: Cause.FILES, BASE: Cause.BASE, SOURCE: Cause.SOURCE, STEP: Cause.INPUT}
_ORDER = (Cause.OPERATION, Cause.BASE, Cause.SOURCE, Cause.FILES, Cause.INPUT)


@frozen
class ChangedContent:
    """An input at `position` that gives other content than it gave, which had the checksum `before`. `place` names the
    input; it is empty for a local folder."""

    position: int
    before: Digest
    place: str = ""


@frozen
class Reason:
    """Why a step must run. `files` are its inputs whose content changed."""

    cause: Cause
    changes: tuple[Change, ...] = ()
    files: tuple[ChangedContent, ...] = ()


class Reasons:
    """Compares the steps of this build with what is remembered of the last ones.

    `now` tells what a vertex is made of; `remembered` the steps of a target, None if it was never built. Both are only
    called when a step must run.
    """

    def __init__(
        self,
        vertices: Mapping[Digest, Vertex],
        owners: Mapping[Digest, tuple[str, ...]],
        now: Callable[[Vertex], Makeup],
        remembered: Callable[[], Mapping[str, Sequence[Makeup]]],
    ) -> None:
        self._vertices = vertices
        self._owners = owners
        self._now = now
        self._load = remembered
        self._pairs: dict[str, dict[Digest, Makeup]] = {}

    def why(self, vertex: Vertex, redone: Iterable[int] = (), contents: Sequence[str] = ()) -> Reason:
        """Why an op vertex must run.

        `redone` are the positions of inputs that were made anew in this build; `contents`, if they are there, tell
        what is taken from each.
        """
        if vertex.note.ignore_cache:
            return Reason(Cause.ANEW)
        before = self.before(vertex)
        if before is None:
            known = any(name in self._remembered for name in self._owners.get(vertex.digest, ()))
            return Reason(Cause.NEW if known else Cause.FIRST)
        now = self._now(vertex)
        return compare(before, with_contents(now, contents) if contents else now, set(redone))

    def before(self, vertex: Vertex) -> Makeup | None:
        """The step that a vertex is compared with."""
        for target in self._owners.get(vertex.digest, ()):
            if target in self._remembered:
                if target not in self._pairs:
                    self._pairs[target] = self._paired(target)
                if vertex.digest in self._pairs[target]:
                    return self._pairs[target][vertex.digest]
        return None

    @cached_property
    def _remembered(self) -> Mapping[str, Sequence[Makeup]]:
        return self._load()

    def _paired(self, target: str) -> dict[Digest, Makeup]:
        mine = [
            vertex
            for digest, vertex in self._vertices.items()
            if vertex.op.source is None and target in self._owners.get(digest, ())
        ]
        return pair([(v.digest, self._now(v)) for v in mine], self._remembered[target])


def pair(steps: Iterable[tuple[Digest, Makeup]], former: Sequence[Makeup]) -> dict[Digest, Makeup]:
    """For each step the former one that it is most like; each former one is given once."""
    rest, left = list(steps), list(former)
    out: dict[Digest, Makeup] = {}
    for likeness in _LIKENESSES:
        offers: dict[tuple[str, ...], list[int]] = {}
        for position in reversed(range(len(left))):
            offers.setdefault(likeness(left[position]), []).append(position)
        still: list[tuple[Digest, Makeup]] = []
        used: set[int] = set()
        for digest, step in rest:
            found = offers.get(likeness(step))
            if found:
                used.add(found[-1])
                out[digest] = left[found.pop()]
            else:
                still.append((digest, step))
        rest, left = still, [each for position, each in enumerate(left) if position not in used]
    return out


def compare(before: Makeup, now: Makeup, redone: set[int]) -> Reason:
    """What has changed of a step."""
    changes: list[Change] = [*op_changes(before, now), *_versions(before, now)] if before.op != now.op else []
    causes = {Cause.OPERATION} if before.op != now.op else set()
    files: list[ChangedContent] = []
    for position, (old, new) in enumerate(zip(before.inputs, now.inputs, strict=False)):
        if old.token == new.token and not (new.kind == STEP and position in redone):
            continue
        if old.content and old.content == new.content:
            continue  # made of something else, but the same
        causes.add(_CAUSES[new.kind])
        if old.kind == new.kind == FILES and old.token:
            files.append(ChangedContent(position, Digest(old.token)))
            continue
        changes.append(_input_change(old, new))
        if old.content.startswith(_CHECKSUM) and new.content.startswith(_CHECKSUM):
            files.append(ChangedContent(position, Digest(old.content), new.name))
    if len(before.inputs) != len(now.inputs):
        causes.add(Cause.OPERATION)
    if not causes:
        return Reason(Cause.LOST if before.finished else Cause.UNFINISHED)
    return Reason(next(c for c in _ORDER if c in causes), tuple(changes), tuple(files))


def _versions(before: Makeup, now: Makeup) -> Iterable[Change]:
    old, new = (dict(text.split("=", 1) for text in each.versions) for each in (before, now))
    return (
        Change("secret", name, old.get(name, "no version"), new.get(name, "no version"))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _input_change(old: Ingredient, new: Ingredient) -> Change:
    if old.kind != new.kind:
        return Change("input", new.name, f"{old.kind} {old.name}", f"{new.kind} {new.name}")
    if new.kind == STEP:
        return Change("step", new.name)
    if old.name != new.name:
        return Change(new.kind, new.name, _shown(old, named=True), _shown(new, named=True))
    return Change(new.kind, new.name, _shown(old), _shown(new))


def _shown(item: Ingredient, named: bool = False) -> str:
    pin = item.shown or item.token
    return f"{item.name} ({pin})" if named else pin


_LIKENESSES: tuple[Callable[[Makeup], tuple[str, ...]], ...] = (
    lambda step: (step.op, step.name),
    lambda step: (step.op,),
    lambda step: (step.name,),
    lambda step: (step.place or step.name,),
    lambda step: (step.instruction.partition(" ")[0],),
)

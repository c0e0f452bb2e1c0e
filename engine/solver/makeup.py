"""What a step is made of, in the form that is remembered: so that the next build can say what has changed."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence

from engine.digests import Digest
from engine.errors import EngineError
from engine.llb.definition import Edge, Vertex
from engine.ops.contract import Dependency
from engine.solver.keys import WHOLE, DefinitionKeys, Facts, dependencies, local_tree
from engine.values import frozen, replace

FILES, BASE, SOURCE, STEP = "files", "base", "source", "step"
_IMAGES = ("docker-image", "oci-layout")
_PLACE = re.compile(r"^\[[^]]*\]")
_USERINFO = re.compile(r"(?<=//)[^/@]*@")


@frozen
class Ingredient:
    """One input: of what `kind` it is, what it is called, and what tells it from others.

    `token` is a checksum for files and a key for the others; `shown` a pin that says more to a reader, if there is one.
    `content` tells what the step took from another input than files, where that was looked at: a checksum, or which
    result it was where all of that counts.
    """

    kind: str
    name: str
    token: str
    shown: str = ""
    content: str = ""


@frozen
class Makeup:
    """What a step was made of. `body` is the bytes of its op without inputs, `op` its cache digest, `versions` those of
    its secrets.

    `seconds` is how long it took when it was last run; `finished` is False if it was wanted and did not come to an end.
    """

    name: str
    op: Digest
    body: bytes
    inputs: tuple[Ingredient, ...]
    seconds: float = 0.0
    finished: bool = True
    versions: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The bracket that the name begins with, such as `[build 2/5]`; empty without one."""
        match = _PLACE.match(self.name)
        return match[0] if match else ""

    @property
    def instruction(self) -> str:
        """The name without its place: the instruction as written."""
        return self.name[len(self.place) :].lstrip()


def makeup(vertex: Vertex, vertices: Mapping[Digest, Vertex], facts: Facts, keys: DefinitionKeys) -> Makeup:
    """What an op vertex is made of now."""
    inputs = tuple(
        _ingredient(edge, dependency, vertices, facts, keys)
        for edge, dependency in dependencies(vertex, facts.cache_maps)
    )
    cache_map = facts.cache_maps[vertex.digest]
    return Makeup(vertex.name, cache_map.digest, vertex.work, inputs, versions=cache_map.versions)


def with_contents(made: Makeup, contents: Sequence[str]) -> Makeup:
    """A step whose inputs are there, with what it takes from each."""
    inputs = tuple(
        replace(item, content=content) if item.kind != FILES else item
        for item, content in zip(made.inputs, contents, strict=True)
    )
    return replace(made, inputs=inputs)


def with_former_contents(made: Makeup, former: Makeup) -> Makeup:
    """A step that was not looked at: an input that is what it was has the content that it had."""
    pairs = zip(made.inputs, former.inputs, strict=False)
    known = tuple(replace(new, content=old.content) if new.token == old.token else new for new, old in pairs)
    return replace(made, inputs=(*known, *made.inputs[len(known) :]))


def _ingredient(
    edge: Edge, dependency: Dependency, vertices: Mapping[Digest, Vertex], facts: Facts, keys: DefinitionKeys
) -> Ingredient:
    vertex = vertices[edge.vertex]
    tree = local_tree(edge, facts)
    if tree is not None:
        checksum = facts.checksums[tree, dependency.content or WHOLE]
        return Ingredient(FILES, vertex.name, "" if isinstance(checksum, EngineError) else checksum)
    resolved, source = facts.resolved.get(edge.vertex), vertex.op.source
    if source is None:
        return Ingredient(STEP, vertex.name, f"{keys.save.get(edge.vertex, '')}@{edge.index}")
    scheme, _, rest = source.identifier.partition("://")
    name = rest.partition("@")[0] if scheme in _IMAGES else _USERINFO.sub("", source.identifier)
    token = resolved.keys[-1] if resolved and resolved.keys else ""
    return Ingredient(BASE if scheme in _IMAGES else SOURCE, name, token, resolved.pin if resolved else "")


def to_text(steps: Iterable[Makeup]) -> str:
    """Steps as they are written down."""
    rows = [
        (
            step.name,
            step.op,
            b64encode(step.body).decode(),
            [(i.kind, i.name, i.token, i.shown, i.content) for i in step.inputs],
            round(step.seconds, 4),
            step.finished,
            step.versions,
        )
        for step in steps
    ]
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> tuple[Makeup, ...]:
    """Steps as they were written down; none if that was done by another version."""
    try:
        return tuple(
            Makeup(name, op, b64decode(body), tuple(Ingredient(*i) for i in inputs), seconds, finished, tuple(versions))
            for name, op, body, inputs, seconds, finished, versions in json.loads(text)
        )
    except (ValueError, TypeError):
        return ()

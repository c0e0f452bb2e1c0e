"""What is to be done: which results are known already, and which vertices must run. Data that a test can look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.cache.records import Record
from engine.digests import Digest
from engine.llb.definition import Edge, Vertex
from engine.solver.keys import DefinitionKeys, Facts
from engine.values import frozen


@frozen
class Plan:
    """The way from the wanted results down to what is known.

    `hits` are known and wanted; nothing below them is. `runs` are wanted and not known by their definition key, inputs
    first. `sources` are wanted as they are. `passed` are below a hit and known, too: shown as cached, never touched.
    """

    hits: Mapping[Digest, Record]
    runs: tuple[Digest, ...]
    sources: tuple[Digest, ...]
    passed: tuple[Digest, ...]


@frozen
class Prepared:
    """What is wanted, and everything that is known of it before any work. `order` has inputs before what uses them."""

    vertices: Mapping[Digest, Vertex]
    order: tuple[Vertex, ...]
    facts: Facts
    keys: DefinitionKeys
    plan: Plan


def make_plan(
    vertices: Mapping[Digest, Vertex],
    roots: Iterable[Edge],
    keys: Mapping[Digest, str],
    records: Mapping[str, Record],
) -> Plan:
    """Goes down from the roots and stops at every result that is known."""
    hits: dict[Digest, Record] = {}
    runs: list[Digest] = []
    sources: list[Digest] = []
    seen: set[Digest] = set()
    stack = [(edge.vertex, False) for edge in roots]
    while stack:
        digest, inputs_done = stack.pop()
        if inputs_done:
            runs.append(digest)
            continue
        if digest in seen:
            continue
        seen.add(digest)
        record = records.get(keys.get(digest, ""))
        if vertices[digest].op.source is not None:
            sources.append(digest)
        elif record is not None:
            hits[digest] = record
        else:
            stack.append((digest, True))
            stack += [(Digest(i.digest), False) for i in reversed(vertices[digest].op.inputs)]
    passed = tuple(_below(vertices, hits, seen, keys, records))
    return Plan(hits, tuple(runs), tuple(sources), passed)


def _below(
    vertices: Mapping[Digest, Vertex],
    hits: Iterable[Digest],
    wanted: set[Digest],
    keys: Mapping[Digest, str],
    records: Mapping[str, Record],
) -> Iterable[Digest]:
    seen = set(wanted)
    stack = [Digest(i.digest) for hit in hits for i in vertices[hit].op.inputs]
    while stack:
        digest = stack.pop()
        if digest in seen:
            continue
        seen.add(digest)
        if keys.get(digest, "") in records or vertices[digest].op.source is not None:
            yield digest
        stack += [Digest(i.digest) for i in vertices[digest].op.inputs]

"""Many definitions as one graph: the same digest is the same vertex, whoever wants it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.digests import Digest
from engine.llb.definition import Definition, Vertex, merge_notes


def merge(definitions: Iterable[Definition]) -> dict[Digest, Vertex]:
    """All vertices that any of the definitions needs, by digest."""
    out: dict[Digest, Vertex] = {}
    for definition in definitions:
        for vertex in definition.walk():
            known = out.get(vertex.digest)
            if known is None:
                out[vertex.digest] = vertex
            elif known.note is not vertex.note and known.note != vertex.note:
                out[vertex.digest] = replace(known, note=merge_notes(known.note, vertex.note))
    return out

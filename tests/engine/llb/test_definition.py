"""Vertices and their bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.digests import sha256
from engine.llb.definition import Definition, Edge, Vertex
from engine.llb.ops import PassthroughOp
from engine.llb.wire import encode

BELOW = Vertex.make(PassthroughOp(id="below", outputs=(0, 1)))


@pytest.mark.parametrize("inputs", [(), (Edge(BELOW.digest),), (Edge(BELOW.digest, 1), Edge(BELOW.digest, 300))])
def test_a_vertex_keeps_the_bytes_that_its_digest_is_of_and_knows_which_are_its_work(inputs: tuple[Edge, ...]) -> None:
    vertex = Vertex.make(PassthroughOp(id="step", outputs=(0,)), inputs)
    assert vertex.data == encode(vertex.op)
    assert vertex.digest == sha256(vertex.data)
    assert vertex.work == encode(replace(vertex.op, inputs=()))
    assert vertex.inputs == inputs


def test_a_definition_that_is_read_has_the_bytes_that_were_written() -> None:
    top = Vertex.make(PassthroughOp(id="top", outputs=(0,)), [Edge(BELOW.digest)])
    definition = Definition({BELOW.digest: BELOW, top.digest: top}, Edge(top.digest))
    read = Definition.from_pb(definition.to_pb())
    assert [vertex.data for vertex in read.walk()] == [BELOW.data, top.data]

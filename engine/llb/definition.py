"""A graph of vertices by digest, its walk, and its form as BuildKit's `pb.Definition`.

The graph is flat: a vertex names its inputs by digest, so nothing recurses, two graphs merge by uniting their maps,
and equal work is the same entry whoever asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from engine.digests import Digest, sha256
from engine.llb.ops import (
    Body,
    ExportCache,
    Input,
    LinuxResources,
    Location,
    Locations,
    Op,
    OpMetadata,
    Platform,
    ProgressGroup,
    Range,
    RawDefinition,
    Source,
    SourceInfo,
    WorkerConstraints,
)
from engine.llb.wire import WireError, decode, encode, without_first
from engine.values import frozen, replace

NAME_KEY = "llb.customname"
COMMAND_KEY = "com.docker.dockerfile.v1.command"
TERMINAL_CAPS = frozenset({"constraints", "meta.description", "platform"})
_INPUTS = 1
"""The number of `Op.inputs`."""
_BODY_FIELDS = ("exec", "source", "file", "build", "merge", "diff", "passthrough")


@frozen
class Edge:
    """One output of one vertex."""

    vertex: Digest
    index: int = 0


@frozen
class Place:
    """Where a vertex was written: ranges of lines of one source text."""

    source: SourceInfo
    ranges: tuple[Range, ...]


@frozen
class Note:
    """What is known about a vertex outside its identity: shown and obeyed, never hashed."""

    name: str = ""
    """What progress shows, such as `[build 2/5] RUN make`."""
    command: str = ""
    """The instruction as written."""
    places: tuple[Place, ...] = ()
    group: ProgressGroup | None = None
    ignore_cache: bool = False
    export_cache: bool | None = None
    caps: frozenset[str] = frozenset()
    resources: LinuxResources | None = None
    description: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Further description keys besides name and command."""


@frozen
class Vertex:
    """One piece of work. Two vertices are equal when their digests are."""

    digest: Digest
    op: Op = field(compare=False)
    note: Note = field(compare=False)
    data: bytes = field(compare=False, repr=False)
    """The bytes of the op, which the digest is of."""
    _edges: list[tuple[Edge, ...]] = field(init=False, repr=False, compare=False, default_factory=list)
    """The inputs, once they were asked for: everybody asks for them."""

    @classmethod
    def make(
        cls, body: Body, inputs: Iterable[Edge] = (), platform: Platform | None = None, note: Note | None = None
    ) -> Vertex:
        """A vertex of a body, with the digest that BuildKit gives it."""
        name = type(body).__name__.removesuffix("Op").lower()
        op = Op(
            inputs=tuple(Input(edge.vertex, edge.index) for edge in inputs),
            platform=platform,
            constraints=WorkerConstraints(),
            **{name: body},  # type: ignore[arg-type]
        )
        data = encode(op)
        return cls(sha256(data), op, note or Note(), data)

    @property
    def inputs(self) -> tuple[Edge, ...]:
        """The outputs that this vertex works on."""
        if not self._edges:
            self._edges.append(tuple([Edge(Digest(i.digest), i.index) for i in self.op.inputs]))
        return self._edges[0]

    @property
    def work(self) -> bytes:
        """The bytes of the op without its inputs."""
        return without_first(self.data, _INPUTS)

    @property
    def name(self) -> str:
        """What progress shows for it."""
        return self.note.name or self.digest[:19]


@frozen
class Definition:
    """Vertices by digest, and the edge that is the result (None: an empty file system)."""

    vertices: Mapping[Digest, Vertex]
    root: Edge | None

    def walk(self) -> Iterator[Vertex]:
        """Every vertex that the result needs, inputs before what uses them (depth first)."""
        return walk(self.vertices, [self.root] if self.root else [])

    def to_pb(self) -> RawDefinition:
        """The record that BuildKit reads; no vertices at all for an empty file system."""
        return merged_pb(self.vertices, [self.root] if self.root else [])

    @classmethod
    def from_pb(cls, raw: RawDefinition) -> Definition:
        """A definition that BuildKit or a frontend wrote.

        Raises:
            WireError: if it is not one: undecodable, without a terminal vertex, or naming inputs that are not there.
        """
        if not raw.def_:
            return cls({}, None)
        vertices: dict[Digest, Vertex] = {}
        for data in raw.def_[:-1]:
            digest = sha256(data)
            note = _note(raw.metadata.get(digest), raw.source, digest)
            vertices[digest] = Vertex(digest, decode(Op, data), note, data)
        last = decode(Op, raw.def_[-1])
        if last.body is not None or len(last.inputs) != 1:
            raise WireError("the last vertex of a definition must be a terminal one")
        wanted = [i for v in vertices.values() for i in v.op.inputs] + list(last.inputs)
        for item in wanted:
            if item.digest not in vertices:
                raise WireError(f"a vertex names {item.digest} as its input, which is not in the definition")
            if item.index < 0:
                raise WireError("an input has a negative output index")
        return cls(vertices, Edge(Digest(last.inputs[0].digest), last.inputs[0].index))


def walk(vertices: Mapping[Digest, Vertex], roots: Iterable[Edge]) -> Iterator[Vertex]:
    """Every vertex that the roots need, each once, inputs before what uses them (depth first, post-order)."""
    seen: set[Digest] = set()
    for root in roots:
        stack: list[tuple[Digest, int]] = [(root.vertex, 0)]
        while stack:
            digest, at = stack.pop()
            if at == 0:
                if digest in seen:
                    continue
                seen.add(digest)
            inputs = vertices[digest].op.inputs
            if at < len(inputs):
                stack += [(digest, at + 1), (Digest(inputs[at].digest), 0)]
            else:
                yield vertices[digest]


def merged_pb(vertices: Mapping[Digest, Vertex], roots: Sequence[Edge]) -> RawDefinition:
    """One record of a graph with many results: its terminal vertex has them all as inputs, in their order."""
    if not roots:
        return RawDefinition()
    order = list(walk(vertices, roots))
    terminal = encode(Op(inputs=tuple(Input(root.vertex, root.index) for root in roots)))
    metadata: dict[str, OpMetadata] = {v.digest: _metadata(v.note) for v in order}
    metadata[sha256(terminal)] = OpMetadata(caps=dict.fromkeys(sorted(TERMINAL_CAPS), True))
    return RawDefinition((*(v.data for v in order), terminal), metadata, _source_map(order))


def merge_notes(one: Note, other: Note) -> Note:
    """What is said of a vertex that two graphs share: the first name, both places; cache is ignored if either asks."""
    places = one.places + tuple(p for p in other.places if p not in one.places)
    return replace(one, places=places, ignore_cache=one.ignore_cache or other.ignore_cache)


def _metadata(note: Note) -> OpMetadata:
    description = dict(note.description)
    if note.name:
        description[NAME_KEY] = note.name
    if note.command:
        description[COMMAND_KEY] = note.command
    return OpMetadata(
        ignore_cache=note.ignore_cache,
        description=description,
        export_cache=None if note.export_cache is None else ExportCache(note.export_cache),
        caps=dict.fromkeys(sorted(note.caps), True),
        progress_group=note.group,
        linux_resources=note.resources,
    )


def _source_map(vertices: Iterable[Vertex]) -> Source:
    infos: dict[SourceInfo, int] = {}
    places: dict[str, Locations] = {}
    for vertex in vertices:
        if vertex.note.places:
            places[vertex.digest] = Locations(
                tuple(Location(infos.setdefault(p.source, len(infos)), p.ranges) for p in vertex.note.places)
            )
    return Source(places, tuple(infos))


def _note(meta: OpMetadata | None, source: Source | None, digest: Digest) -> Note:
    meta = meta or OpMetadata()
    places = []
    for location in (source.locations.get(digest, Locations()) if source else Locations()).locations:
        if source and 0 <= location.source_index < len(source.infos):
            places.append(Place(source.infos[location.source_index], location.ranges))
    return Note(
        name=meta.description.get(NAME_KEY, ""),
        command=meta.description.get(COMMAND_KEY, ""),
        places=tuple(places),
        group=meta.progress_group,
        ignore_cache=meta.ignore_cache,
        export_cache=None if meta.export_cache is None else meta.export_cache.value,
        caps=frozenset(cap for cap, on in meta.caps.items() if on),
        resources=meta.linux_resources,
        description={k: v for k, v in meta.description.items() if k not in (NAME_KEY, COMMAND_KEY)},
    )

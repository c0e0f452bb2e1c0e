"""Vertices that are not made yet: what `engine.llb.state` builds, until `define` turns it into a `Definition`.

A vertex's bytes name its inputs by digest, so nothing can be made before everything below it is known. A `Deferred`
stands for what is decided last of all, such as a build context whose list of used paths grows while the graph is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.digests import Digest, sha256
from engine.errors import DefinitionError
from engine.llb.definition import COMMAND_KEY, Definition, Edge, Note, Place, Vertex
from engine.llb.ops import (
    Body,
    DiffInput,
    DiffOp,
    LinuxResources,
    MergeInput,
    MergeOp,
    Platform,
    ProgressGroup,
    SourceOp,
)
from engine.values import frozen, replace

MERGE_CAP, DIFF_CAP = frozenset({"mergeop"}), frozenset({"diffop"})
LOCAL_SCHEME = "local://"
_PLATFORM_SCHEMES = ("docker-image://", "oci-layout://")


@frozen
class Output:
    """One output of a node that will become a vertex."""

    node: Node
    index: int = 0

    __eq__ = object.__eq__
    __hash__ = object.__hash__


@frozen
class Group:
    """Steps shown as one. Its id is made of the digests of `members`, so that equal work has equal groups."""

    name: str
    weak: bool
    members: tuple[Output | None, ...]


@frozen
class Label:
    """What is said about a node outside its identity; see `engine.llb.definition.Note`.

    `command` None says nothing about it; an empty text is said, as BuildKit's client does for images of `COPY --from`.
    """

    name: str = ""
    command: str | None = None
    places: tuple[Place, ...] = ()
    ignore_cache: bool = False
    resources: LinuxResources | None = None
    group: Group | None = None


NO_LABEL = Label()


class Node:
    """A vertex to be. Subclasses say what it stands on and how its op is written."""

    __slots__ = ("label",)

    def __init__(self, label: Label = NO_LABEL) -> None:
        self.label = label

    def inputs(self) -> tuple[Output, ...]:
        """What must be made before, in the order in which a walk visits it."""
        return ()

    def make(self, work: Defining) -> Vertex:
        """The vertex, once its inputs are made."""
        raise NotImplementedError


class Deferred(Node):
    """Stands for an output that is found when the graph is defined. None is an empty file system."""

    __slots__ = ("_find", "_found", "_searched")

    def __init__(self, find: Callable[[], Output | None]) -> None:
        super().__init__()
        self._find = find
        self._found: Output | None = None
        self._searched = False

    def found(self) -> Output | None:
        """The output it stands for, asked for once."""
        if not self._searched:
            self._found, self._searched = settled(self._find()), True
        return self._found


def settled(output: Output | None) -> Output | None:
    """The output itself, or what it stands for."""
    return output.node.found() if output is not None and isinstance(output.node, Deferred) else output


class Defining:
    """One run of `define`: what is made so far, and the platform of what names none."""

    __slots__ = ("made", "platform", "vertices")

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.made: dict[Node, Vertex] = {}
        self.vertices: dict[Digest, Vertex] = {}

    def edge(self, output: Output) -> Edge:
        """The edge of an output whose node is made."""
        found = settled(output)
        if found is None:
            raise DefinitionError("an empty file system cannot be an input")
        return Edge(self.made[found.node].digest, found.index)

    def vertex(
        self, node: Node, body: Body, inputs: tuple[Edge, ...], platform: Platform | None, caps: frozenset[str]
    ) -> Vertex:
        """A vertex with its note."""
        label = node.label
        note = Note(
            name=label.name,
            command=label.command or "",
            places=label.places,
            ignore_cache=label.ignore_cache,
            caps=caps,
            resources=label.resources,
            description={COMMAND_KEY: ""} if label.command == "" else {},
        )
        made = Vertex.make(body, inputs, platform, note)
        if label.group:
            made = replace(made, note=replace(note, group=self._group(label.group, node, made.digest)))
        return made

    def _group(self, group: Group, node: Node, digest: Digest) -> ProgressGroup:
        parts = []
        for member in map(settled, group.members):
            if member is not None:
                parts.append(digest if member.node is node else self.made[member.node].digest)
        return ProgressGroup(sha256("\n".join(parts).encode())[7:32], group.name, group.weak)

    def add(self, node: Node) -> None:
        """Makes a node's vertex; of two equal vertices the later one's words win, as BuildKit's client has it."""
        vertex = node.make(self)
        known = self.vertices.get(vertex.digest)
        if known is not None:
            vertex = replace(vertex, note=_joined(known.note, vertex.note))
        self.made[node] = self.vertices[vertex.digest] = vertex


def _joined(old: Note, new: Note) -> Note:
    emptied = COMMAND_KEY in new.description
    command = "" if emptied else new.command or old.command
    return replace(
        new,
        name=new.name or old.name,
        command=command,
        places=old.places + new.places,
        group=new.group or old.group,
        ignore_cache=old.ignore_cache or new.ignore_cache,
        caps=old.caps | new.caps,
        resources=new.resources or old.resources,
        description={COMMAND_KEY: ""} if not command and (emptied or COMMAND_KEY in old.description) else {},
    )


def define(root: Output | None, platform: Platform) -> Definition:
    """The definition of everything that an output needs. `platform` is that of vertices that name none."""
    root = settled(root)
    if root is None:
        return Definition({}, None)
    work = Defining(platform)
    made = work.made
    stack: list[Node] = [root.node]
    opened: set[Node] = set()
    while stack:
        node = stack[-1]
        if node in made:
            stack.pop()
        elif node in opened:
            stack.pop()
            work.add(node)
        else:
            opened.add(node)
            needs = [found.node for found in map(settled, node.inputs()) if found is not None]
            stack.extend(need for need in reversed(needs) if need not in made)
    return Definition(work.vertices, work.edge(root))


class SourceNode(Node):
    """Files from outside: an image, a folder, a repository, a URL."""

    __slots__ = ("attrs", "caps", "identifier", "platform")

    def __init__(
        self,
        identifier: str,
        attrs: Mapping[str, str],
        caps: frozenset[str],
        platform: Platform | None = None,
        label: Label = NO_LABEL,
    ) -> None:
        super().__init__(label)
        self.identifier, self.attrs, self.caps, self.platform = identifier, attrs, caps, platform

    def make(self, work: Defining) -> Vertex:
        """See `Node.make`. Only images have a platform."""
        platform = (self.platform or work.platform) if self.identifier.startswith(_PLATFORM_SCHEMES) else None
        return work.vertex(self, SourceOp(self.identifier, self.attrs), (), platform, self.caps)


class MergeNode(Node):
    """File systems laid over each other."""

    __slots__ = ("layers",)

    def __init__(self, layers: tuple[Output, ...], label: Label) -> None:
        super().__init__(label)
        self.layers = layers

    def inputs(self) -> tuple[Output, ...]:
        """See `Node.inputs`."""
        return self.layers

    def make(self, work: Defining) -> Vertex:
        """See `Node.make`. Equal inputs are not folded here."""
        body = MergeOp(tuple(MergeInput(at) for at in range(len(self.layers))))
        return work.vertex(self, body, tuple(map(work.edge, self.layers)), None, MERGE_CAP)


class DiffNode(Node):
    """What makes `upper` out of `lower`; None is an empty file system."""

    __slots__ = ("lower", "upper")

    def __init__(self, lower: Output | None, upper: Output | None, label: Label) -> None:
        super().__init__(label)
        self.lower, self.upper = lower, upper

    def inputs(self) -> tuple[Output, ...]:
        """See `Node.inputs`."""
        return tuple(side for side in (self.lower, self.upper) if side is not None)

    def make(self, work: Defining) -> Vertex:
        """See `Node.make`."""
        edges = [work.edge(side) for side in self.inputs()]
        lower = 0 if self.lower is not None else -1
        upper = lower + 1 if self.upper is not None else -1
        return work.vertex(self, DiffOp(DiffInput(lower), DiffInput(upper)), tuple(edges), None, DIFF_CAP)


class MadeNode(Node):
    """A vertex of a definition that was made before, such as another target's result."""

    __slots__ = ("definition", "vertex")

    def __init__(self, definition: Definition, vertex: Vertex) -> None:
        super().__init__()
        self.definition, self.vertex = definition, vertex

    def make(self, work: Defining) -> Vertex:
        """See `Node.make`. Everything below comes along."""
        for vertex in self.definition.walk():
            work.vertices.setdefault(vertex.digest, vertex)
        return self.vertex

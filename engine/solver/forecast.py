"""What a build would do, without doing it: what would run, be fetched or is known, why, and about how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from engine.digests import Digest
from engine.events import Change
from engine.llb.definition import Edge, Vertex, walk
from engine.results import Snapshot
from engine.solver.chronicle import Chronicle
from engine.solver.plan import Prepared
from engine.solver.services import Services
from engine.solver.solver import Circumstances, default_jobs, prepare
from engine.solver.why import explained
from engine.values import frozen


class Fate(Enum):
    """What would become of a step."""

    RUN = "run"
    HIT = "hit"
    FETCH = "fetch"  # content of a source that a step to be run needs, and that is not here
    FAIL = "fail"  # it cannot be done, such as a COPY of a file that is not there
    NEVER = "never"  # it stands upon one that cannot be done, and would not be begun


@frozen
class FutureStep:
    """One step. `seconds` is how long it is expected to take, `bytes` how much is fetched, `error` why it must fail.

    `cause` and `changes` are as in `engine.events.Decided`.
    """

    digest: Digest
    name: str
    targets: tuple[str, ...]
    fate: Fate
    seconds: float = 0.0
    bytes: int = 0
    cause: str = ""
    changes: tuple[Change, ...] = ()
    more: int = 0
    error: str = ""


@frozen
class Forecast:
    """What a build would do. `seconds` is about how long its steps take, `critical` the chain of steps that it waits
    for. A step that would run may turn out to be known when its inputs are there."""

    steps: tuple[FutureStep, ...]
    seconds: float = 0.0
    critical: tuple[Digest, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether nothing would be done."""
        return all(step.fate is Fate.HIT for step in self.steps)


async def forecast(
    vertices: Mapping[Digest, Vertex], roots: Sequence[Edge], services: Services, how: Circumstances
) -> Forecast:
    """What solving would do. Asks what sources mean now, and fetches nothing of what can wait.

    Raises EngineError for an op that nobody can do.
    """
    order = list(walk(vertices, roots))
    prepared = await prepare(vertices, order, roots, services, importer=how.importer)
    chronicle = Chronicle(how.project, how.owners, prepared, services)
    fates = {**_sources(prepared, services), **_steps(prepared)}
    run = {digest for digest, (fate, _) in fates.items() if fate is Fate.RUN}
    expected = {digest: seconds for digest, seconds in chronicle.expected.items() if digest in run}
    path = critical_path(prepared, expected)
    seconds = max(sum(expected[d] for d in path), sum(expected.values()) / (how.jobs or default_jobs()))
    steps = []
    for vertex in order:
        if vertex.digest in fates:
            steps.append(await _step(vertex, fates[vertex.digest], prepared, chronicle, services, how))
    return Forecast(tuple(steps), seconds, tuple(path))


def critical_path(prepared: Prepared, seconds: Mapping[Digest, float]) -> list[Digest]:
    """Of the steps that take `seconds`, those that depend on each other and take longest together, in order."""
    import networkx

    if not seconds:
        return []
    graph: networkx.DiGraph[Digest] = networkx.DiGraph()
    graph.add_nodes_from((*seconds, Digest("")))
    for digest, own in seconds.items():
        # Weights are of edges, so that a step's is on all that lead to it; "" is before everything.
        for source in (*(e.vertex for e in prepared.vertices[digest].inputs if e.vertex in graph), Digest("")):
            graph.add_edge(source, digest, weight=own)
    found: list[Digest] = networkx.dag_longest_path(graph)
    return [digest for digest in found if digest]


def _steps(prepared: Prepared) -> dict[Digest, tuple[Fate, int]]:
    out: dict[Digest, tuple[Fate, int]] = {}
    runs, doomed = set(prepared.plan.runs), set(prepared.facts.unresolved)
    for vertex in prepared.order:
        if vertex.digest in prepared.keys.problems and vertex.digest in runs:
            fate = Fate.FAIL
        elif vertex.op.source is not None:
            continue
        elif vertex.digest not in runs:
            fate = Fate.HIT
        else:
            fate = Fate.RUN if doomed.isdisjoint(edge.vertex for edge in vertex.inputs) else Fate.NEVER
        out[vertex.digest] = fate, 0
        if fate in (Fate.FAIL, Fate.NEVER):
            doomed.add(vertex.digest)
    return out


def _sources(prepared: Prepared, services: Services) -> dict[Digest, tuple[Fate, int]]:
    """Sources that would be fetched or cannot be had."""
    out: dict[Digest, tuple[Fate, int]] = {}
    for digest in prepared.plan.sources:
        if digest in prepared.facts.unresolved:
            out[digest] = Fate.FAIL, 0
    for edge in _read(prepared):
        resolved = prepared.facts.resolved.get(edge.vertex)
        if resolved is not None and isinstance(resolved.result, Snapshot):
            missing = services.missing_bytes(resolved.result)
            if missing is not None:
                out[edge.vertex] = Fate.FETCH, missing
    return out


def _read(prepared: Prepared) -> Iterator[Edge]:
    """The inputs that steps to be run look into."""
    for digest in prepared.plan.runs:
        vertex = prepared.vertices[digest]
        if vertex.op.exec is not None or vertex.op.file is not None:
            yield from vertex.inputs


async def _step(
    vertex: Vertex,
    fate: tuple[Fate, int],
    prepared: Prepared,
    chronicle: Chronicle,
    services: Services,
    how: Circumstances,
) -> FutureStep:
    kind, missing = fate
    owners = how.owners.get(vertex.digest, ())
    if kind is Fate.FAIL:
        error = prepared.keys.problems.get(vertex.digest) or prepared.facts.unresolved[vertex.digest]
        return FutureStep(vertex.digest, vertex.name, owners, kind, error=error.message)
    if kind is not Fate.RUN:
        return FutureStep(vertex.digest, vertex.name, owners, kind, bytes=missing)
    reason, changes, more = await explained(vertex, (), prepared.facts, chronicle.reasons, services)
    seconds = chronicle.expected.get(vertex.digest, 0.0)
    return FutureStep(vertex.digest, vertex.name, owners, kind, seconds, 0, reason.cause.value, changes, more)

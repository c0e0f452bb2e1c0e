"""Jobs in waves: a target is a job, and comes after those that it links to, whose work it finds in a shared cache."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import networkx as nx

from bakery.graph.combine import needs
from bakery.graph.lower import check_links
from bakery.values import frozen

if TYPE_CHECKING:
    from bakery.config.target import Project, Target


@frozen
class Job:
    """One target on a machine of its own. `needs` are the jobs of earlier waves whose work it uses.

    `asked` is False for one that only others link to: it fills the cache, and is never pushed.
    """

    target: str
    platforms: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    asked: bool = True
    tagged: bool = False
    """Whether it has names to be pushed to."""

    @property
    def architecture(self) -> str:
        """The one architecture that it is for, as platforms name it; empty for several, or the machine's own."""
        found = {platform.split("/")[1] for platform in self.platforms if platform.count("/")}
        return found.pop() if len(found) == 1 else ""


Wave = tuple[Job, ...]


def plan_waves(project: Project, *, shared: bool) -> list[Wave]:
    """The jobs of a project. With a `shared` cache, what several jobs link to is a job, though nobody asked for it.

    Raises:
        BakeryError: where links lead in a circle, or to a target that is not there.
    """
    check_links(project)
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(project.targets)
    for target in project.targets.values():
        graph.add_edges_from((name, target.name) for name in needs(target))
    for name in [name for name, target in project.targets.items() if not target.requested]:
        if not shared or graph.out_degree(name) < 2:
            _leave_out(graph, name)
    return [_wave(project, graph, names) for names in nx.topological_generations(graph)]


def only(waves: Sequence[Wave], affected: Collection[str]) -> list[Wave]:
    """The jobs of some targets, and those that fill the cache for them; waves that have none are left, empty."""
    kept: list[Wave] = []
    used: set[str] = set()
    for wave in reversed(waves):
        kept.insert(0, tuple(j for j in wave if j.target in affected or (not j.asked and j.target in used)))
        used.update(name for job in kept[0] for name in job.needs)
    there = {job.target for wave in kept for job in wave}
    return [
        tuple(replace(job, needs=tuple(name for name in job.needs if name in there)) for job in wave) for wave in kept
    ]


def exactly(waves: Sequence[Wave], number: int) -> list[Wave]:
    """The jobs in so many waves: what would come later joins the last one, where it builds itself what it links to."""
    first, rest = [*waves[: number - 1]], waves[number - 1 :]
    last = tuple(job for wave in rest for job in wave)
    inside = {job.target for job in last}
    first += [()] * (number - 1 - len(first))
    return [*first, tuple(replace(job, needs=tuple(n for n in job.needs if n not in inside)) for job in last)]


def _wave(project: Project, graph: nx.DiGraph[str], names: Iterable[str]) -> Wave:
    order = list(project.targets).index
    return tuple(
        _job(project.targets[name], sorted(graph.predecessors(name), key=order)) for name in sorted(names, key=order)
    )


def _leave_out(graph: nx.DiGraph[str], name: str) -> None:
    """Takes a target away: those that use it use what it uses."""
    graph.add_edges_from([(before, after) for before in graph.predecessors(name) for after in graph.successors(name)])
    graph.remove_node(name)


def _job(target: Target, before: Iterable[str]) -> Job:
    return Job(target.name, target.platforms, tuple(before), target.requested, bool(target.tags))

"""What is drawn: nodes, and edges that lead from what is needed to what needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import networkx as nx

from bakery.values import frozen


@frozen
class Node:
    """One box. `kind`: `target`, `group`, `step`, `source` or `file`; `state` as a recorded build has it, or empty.

    `owners` are the targets that need it, in their order; with more than one it is shared.
    """

    id: str
    label: str
    kind: str
    owners: tuple[str, ...] = ()
    state: str = ""
    """`hit`, `ran`, `failed`, `cancelled`, `idle`, `unfinished`."""
    critical: bool = False
    seconds: float = 0.0
    asked: bool = False
    """Whether it is a target that was asked for, and is not only linked to."""
    details: Mapping[str, str] = field(default_factory=dict)
    """What is shown of it on demand, by what it is."""

    @property
    def shared(self) -> bool:
        """Whether several targets need it."""
        return len(self.owners) > 1


@dataclass(frozen=True)
class Drawing:
    """Nodes by ID, and a graph of their IDs. Edges have a `label` (empty for none) and a `kind`: `needs`, `member`."""

    title: str
    nodes: Mapping[str, Node]
    graph: nx.DiGraph[str]
    build: str = ""
    """The recorded build that states are of; empty without one."""

    path: frozenset[tuple[str, str]] = frozenset()
    """The edges of the critical path of that build."""

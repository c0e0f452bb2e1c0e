"""What targets bring for the steps that they want: secrets, agents, rights. A step that several want is still one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.digests import Digest
from engine.errors import DefinitionError
from engine.llb.definition import Vertex, walk
from engine.request import BuildRequest, Secret, SSHAgent, Wanted
from engine.solver.entitlements import check_entitlements, granted
from engine.sources.secrets import for_source


class Wishes:
    """What the targets that want a vertex bring for it. Where two name the same secret, the first one's counts."""

    def __init__(
        self,
        secrets: Iterable[Secret] = (),
        agents: Iterable[SSHAgent] = (),
        allowed: frozenset[str] = frozenset(),
        targets: tuple[Wanted, ...] = (),
    ) -> None:
        self.secrets: dict[str, Secret] = {secret.id: secret for secret in secrets}
        self.agents: dict[str, SSHAgent] = {agent.id: agent for agent in agents}
        self.allowed = allowed
        self._targets = targets

    def versions(self, vertex: Vertex) -> list[str]:
        """The secrets of a step that have versions, with these."""
        known = [self.secrets[name] for name in used_secrets(vertex) if name in self.secrets]
        return [f"{secret.id}={secret.version}" for secret in known if secret.version]

    def joined(self, other: Wishes) -> Wishes:
        """Both targets' wishes."""
        return Wishes(
            {**other.secrets, **self.secrets}.values(),
            {**other.agents, **self.agents}.values(),
            self.allowed | other.allowed,
            self._targets + other._targets,
        )

    def disputed(self, vertex: Vertex) -> Iterator[str]:
        """A sentence for each secret and agent of a vertex that two targets would take from different places.

        The vertex is done once all the same, as with BuildKit: what it gives does not count by a secret's value. Who
        gives both secrets the same version has said that they are one.
        """
        step, source = vertex.op.exec, vertex.op.source
        for id in for_source(source, self.secrets) if source else used_secrets(vertex):
            given = [(target.name, s) for target in self._targets for s in target.secrets if s.id == id]
            places = [(name, s.place) for name, s in given if not s.version]
            yield from _dispute(f"secret {id}", places)
        for id in sorted({mount.ssh_opt.id for mount in step.mounts if mount.ssh_opt}) if step else ():
            agents = [(target.name, a.place) for target in self._targets for a in target.ssh if a.id == id]
            yield from _dispute(f"SSH agent {id}", agents)


def _dispute(what: str, places: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, place in places[1:]:
        if place != places[0][1]:
            first, taken = places[0]
            yield (
                f"the targets {first} and {name} give the {what} from different places: {taken} and {place}; "
                f"they share this step, which gets that of {first}: use another id in one of them to keep them apart"
            )
            return


def used_secrets(vertex: Vertex) -> list[str]:
    """The IDs of the secrets that a step may read, sorted."""
    step = vertex.op.exec
    if step is None:
        return []
    return sorted({m.secret_opt.id for m in step.mounts if m.secret_opt} | {env.id for env in step.secretenv})


def owners_and_wishes(request: BuildRequest) -> tuple[dict[Digest, tuple[str, ...]], dict[Digest, Wishes]]:
    """Which targets want each vertex, and what they bring for it.

    Raises:
        EntitlementError: for a step that may not do what it asks for.
        DefinitionError: for a step that two targets give different versions of one secret.
    """
    owners: dict[Digest, tuple[str, ...]] = {}
    wishes: dict[Digest, Wishes] = {}
    for wanted in request.wanted:
        allowed = granted(wanted.entitlements, request.allowed)
        mine = Wishes(wanted.secrets, wanted.ssh, allowed, (wanted,))
        vertices = list(walk(request.vertices, [root for platform in wanted.platforms for root in platform.roots]))
        check_entitlements(vertices, wanted.entitlements, request.allowed)
        for vertex in vertices:
            owners[vertex.digest] = (*owners.get(vertex.digest, ()), wanted.name)
            known = wishes.get(vertex.digest)
            if known and mine.secrets and known.versions(vertex) != mine.versions(vertex):
                _check_versions(vertex, request.wanted, wanted)
            wishes[vertex.digest] = known.joined(mine) if known else mine
    return owners, wishes


def _check_versions(vertex: Vertex, targets: Iterable[Wanted], last: Wanted) -> None:
    """One step has one result: it cannot be that of two versions. A target that does not give a secret has no say."""
    mine = _by_id(last)
    for other in targets:
        theirs = _by_id(other)
        for name in used_secrets(vertex):
            if name in mine and name in theirs and mine[name].version != theirs[name].version:
                raise DefinitionError(
                    f"the targets {other.name} and {last.name} want one step with different versions of the secret "
                    f"{name}: {_version(theirs[name])} and {_version(mine[name])}",
                    places=vertex.note.places,
                    vertex=vertex.name,
                    hint="give both targets the same version, or build them one after the other",
                )
        if other is last:
            return


def _by_id(wanted: Wanted) -> Mapping[str, Secret]:
    return {secret.id: secret for secret in wanted.secrets}


def _version(secret: Secret) -> str:
    return secret.version or "none"

"""Remembers what targets were made of, from one build to the next: for reasons, and for expected durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from engine.cache.memory import Remembered
from engine.digests import Digest, sha256
from engine.errors import EngineError
from engine.llb.definition import Vertex
from engine.solver.findings import Findings
from engine.solver.makeup import Makeup, from_text, makeup, to_text, with_contents, with_former_contents
from engine.solver.plan import Prepared
from engine.solver.priorities import expected_seconds
from engine.solver.reasons import Reasons
from engine.solver.services import Question, Services
from engine.solver.why import Taken, questions
from engine.values import replace


class Chronicle:
    """The memory of one build. Reads only when something must run, and writes only when something is not as it was."""

    def __init__(
        self, project: str, owners: Mapping[Digest, tuple[str, ...]], prepared: Prepared, services: Services
    ) -> None:
        self._project = project
        self._owners = owners
        self._prepared = prepared
        self._services = services
        self._made: dict[Digest, Makeup] = {}
        self.reasons = Reasons(prepared.vertices, owners, self._makeup, self._recall)

    @cached_property
    def expected(self) -> dict[Digest, float]:
        """How many seconds each vertex that must run will take."""
        vertices = [self._prepared.vertices[digest] for digest in self._prepared.plan.runs]
        former = {v.digest: self.reasons.before(v) for v in vertices}
        return expected_seconds(vertices, {d: m.seconds for d, m in former.items() if m is not None and m.seconds})

    async def write(self, done: Findings) -> None:
        """Writes down how the build has ended. What cannot be written is forgotten: results do not depend on it."""
        if not self._owners:
            return
        try:
            ended = {*done.ran, *done.found}
            unfinished = [digest for digest in self._prepared.plan.runs if digest not in ended]
            marks = self._fingerprints(set(unfinished))
            known = self._services.memory.fingerprints(self._project)
            changed = {name for name, mark in marks.items() if known.get(name) != mark}
            if done.taken:
                await self._services.remember(list(self._questions(done.taken)))
            if changed:
                self._save({name: marks[name] for name in changed}, done, set(unfinished))
        except EngineError:
            return

    def _save(self, marks: Mapping[str, str], done: Findings, unfinished: set[Digest]) -> None:
        steps: dict[str, list[Makeup]] = {name: [] for name in marks}
        hits = self._prepared.plan.hits
        for vertex in self._prepared.order:
            wanted = [name for name in self._owners.get(vertex.digest, ()) if name in steps]
            if vertex.op.source is not None or not wanted:
                continue
            seconds, made = done.ran.get(vertex.digest), self._makeup(vertex)
            former = self.reasons.before(vertex)
            if vertex.digest in done.taken:
                made = with_contents(made, [each.mark for each in done.taken[vertex.digest]])
            elif former:
                made = with_former_contents(made, former)
            if seconds is None:
                seconds = former.seconds if former else 0.0
            if not seconds and vertex.digest in hits:
                seconds = hits[vertex.digest].seconds
            made = replace(made, seconds=seconds, finished=vertex.digest not in unfinished)
            for name in wanted:
                steps[name].append(made)
        remembered = {name: Remembered(mark, to_text(steps[name])) for name, mark in marks.items()}
        self._services.memory.save(self._project, remembered)

    def _fingerprints(self, unfinished: set[Digest]) -> dict[str, str]:
        parts: dict[str, list[str]] = {}
        save = self._prepared.keys.save
        for vertex in self._prepared.order:
            if vertex.op.source is None:
                part = save.get(vertex.digest, vertex.digest) + ("?" if vertex.digest in unfinished else "")
                for name in self._owners.get(vertex.digest, ()):
                    parts.setdefault(name, []).append(part)
        return {name: sha256(" ".join(each).encode()) for name, each in parts.items()}

    def _questions(self, taken: Mapping[Digest, Sequence[Taken]]) -> dict[Question, None]:
        vertices, facts = self._prepared.vertices, self._prepared.facts
        return {q: None for digest, each in taken.items() for q in questions(vertices[digest], each, facts)}

    def _recall(self) -> dict[str, tuple[Makeup, ...]]:
        names = dict.fromkeys(name for each in self._owners.values() for name in each)
        try:
            loaded = self._services.memory.load(self._project, names)
        except EngineError:
            return {}
        return {name: from_text(each.steps) for name, each in loaded.items()}

    def _makeup(self, vertex: Vertex) -> Makeup:
        made = self._made.get(vertex.digest)
        if made is None:
            prepared = self._prepared
            made = self._made[vertex.digest] = makeup(vertex, prepared.vertices, prepared.facts, prepared.keys)
        return made

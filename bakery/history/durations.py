"""How long steps took in the latest builds of a folder: what an estimate is made of."""

from __future__ import annotations

from bakery.history.shelf import Shelf
from bakery.history.summary import EVENTS
from bakery.values import frozen
from engine.events import How

BUILDS_READ, SUMMARIES_READ = 5, 50
BYTES_READ = 4 * 1024 * 1024
"""No more is read than this, so that an estimate stays cheaper than what it is good for."""


@frozen
class Durations:
    """Seconds by digest; for steps that are not the same any more by target and name."""

    by_digest: dict[str, float]
    by_name: dict[tuple[str, str], float]

    def of(self, digest: str, targets: tuple[str, ...], name: str) -> float | None:
        """How long a step took when it last ran; None if it never did."""
        found = self.by_digest.get(digest)
        if found is not None:
            return found
        return next((self.by_name[target, name] for target in targets if (target, name) in self.by_name), None)


def past_durations(shelf: Shelf, folder: str) -> Durations:
    """What the latest builds of a folder tell in which anything was done; the newest counts."""
    found = Durations({}, {})
    room = BYTES_READ
    worked = [s for s in shelf.list(SUMMARIES_READ) if s.folder == folder and (s.hits < s.steps or not s.steps)]
    for summary in worked[:BUILDS_READ]:
        build = shelf.open(summary.id)
        room -= (build.path / EVENTS).stat().st_size
        if room < 0:
            break
        for vertex in build.vertices:
            # A step known by its content once its inputs were made anew is likely to be that again: it takes no time.
            by_content = vertex.decided is not None and vertex.decided.how is How.CONTENT
            if vertex.state == "ran" or (vertex.state == "hit" and by_content):
                found.by_digest.setdefault(vertex.digest, vertex.seconds)
                for target in vertex.targets:
                    found.by_name.setdefault((target, vertex.name), vertex.seconds)
    return found

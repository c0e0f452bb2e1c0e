"""How long steps took in the latest builds of a folder: what an estimate is made of."""

from __future__ import annotations

from bakery.history.shelf import EVENTS, Shelf
from bakery.values import frozen

BUILDS_READ = 5
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
    """What the latest builds of a folder tell; the newest counts."""
    found = Durations({}, {})
    room = BYTES_READ
    for summary in [s for s in shelf.list(limit=4 * BUILDS_READ) if s.folder == folder and s.seconds][:BUILDS_READ]:
        build = shelf.open(summary.id)
        room -= (build.path / EVENTS).stat().st_size
        if room < 0:
            break
        for vertex in build.vertices:
            if vertex.state == "ran":
                found.by_digest.setdefault(vertex.digest, vertex.seconds)
                for target in vertex.targets:
                    found.by_name.setdefault((target, vertex.name), vertex.seconds)
    return found

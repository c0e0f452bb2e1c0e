"""One picture of a build, as rows of text: BuildKit's familiar table, cut to what fits a screen.

    [+] Building 3.2s (12/15)                                       8 cached
     => CACHED [tools 2/4] RUN apt-get update                           0.0s
     => [api 3/5] RUN make                                              1.2s
     => => # cc -c main.c

While the build goes, running steps come last and always fit; what is left of the screen shows their transfers and last
log lines and the steps that ended most recently. Several targets are shown by `groups`. The last picture shows every
step, unless there are very many. Long runs of hits are folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from bakery.console import groups
from bakery.console.model import Model, State, Step
from bakery.console.rows import Row, Screen, header, hits_row, one_line, row, share_out, step_row, transfers
from bakery.console.text import plural

RECENT_ROWS = 4
"""Kept for the steps that ended last, whatever the running ones have to say."""
HITS_LIVE = 2
HITS_FINAL = 10
"""Longer runs of hits than this are folded into one row."""
STEPS_FINAL, SLOWEST_FINAL = 200, 20
"""Of more steps than this the last picture shows those that went wrong and the slowest."""


def live(model: Model, now: float, screen: Screen, left: float | None = None) -> list[Row]:
    """The picture of a build that is going on; never higher than the screen. `left`: an estimate in seconds."""
    if len(model.targets) > 1:
        return groups.live(model, now, screen, left)
    room = max(1, screen.height - 2)
    running = list(model.running.values())
    shown = running if len(running) <= room else running[: room - 1]
    room -= len(shown) + (len(shown) < len(running))
    below = share_out(shown, max(0, room - RECENT_ROWS), now, screen)
    room -= sum(map(len, below.values()))
    rows = [header(model, now, screen, left=left)]
    rows += reversed(list(islice(_recent(model, now, screen), room)))
    for step in shown:
        rows += [step_row(" => ", model.title(step), step, now, screen), *below[step.key]]
    if len(shown) < len(running):
        rows.append(row(f" => ... and {len(running) - len(shown):,} more running", "", screen))
    return rows


def final(model: Model, now: float, screen: Screen) -> list[Row]:
    """The last picture, which stays on the screen."""
    well = all(step.state in (State.DONE, State.CACHED) for step in model.shown)
    rows = [header(model, now, screen, "FINISHED" if well and model.shown else "")]
    shown = _worth_showing(model, now)
    for cached, run in groupby(shown, lambda step: step.state is State.CACHED):
        steps = list(run)
        if cached and len(steps) > HITS_FINAL:
            rows.append(hits_row(len(steps), screen))
            continue
        for step in steps:
            rows.append(step_row(" => ", model.title(step), step, now, screen))
            rows += transfers(step, step.transfers, now, screen)
            rows += [row(f" => => WARN: {one_line(w.short)}", "", screen, "warning") for w in step.warnings]
    hidden = len(model.shown) - len(shown)
    if hidden:
        rows.append(row(f" => and {plural(hidden, 'other step')}: `bakery history show` has them", "", screen, "faint"))
    return rows


def _worth_showing(model: Model, now: float) -> list[Step]:
    if len([step for step in model.shown if step.state is not State.CACHED]) <= STEPS_FINAL:
        return model.shown
    ran = sorted((s for s in model.shown if s.state is State.DONE), key=lambda step: -step.clock.seconds(now))
    slowest = {step.key for step in ran[:SLOWEST_FINAL]}
    well = (State.DONE, State.CACHED)
    return [step for step in model.shown if step.state not in well or step.warnings or step.key in slowest]


def _recent(model: Model, now: float, screen: Screen) -> Iterator[Row]:
    """Rows of the steps that have ended, the latest first."""
    ended = (step for step in reversed(model.shown) if step.finished)
    for cached, run in groupby(ended, lambda step: step.state is State.CACHED):
        if not cached:
            yield from (step_row(" => ", model.title(step), step, now, screen) for step in run)
            continue
        steps = list(run)
        if len(steps) > HITS_LIVE:
            yield hits_row(len(steps), screen)
        else:
            yield from (step_row(" => ", model.title(step), step, now, screen) for step in steps)

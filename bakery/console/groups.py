"""The picture of a build of several targets: what ended, what is at work for each target, what waits.

    [+] Building 12.3s (45/120)  3 of 8 targets           30 cached  about 20s left
     api     built                                                             4.1s
     worker  FAILED                                                            6.0s
     web     3/12 => [build 3/5] RUN make                                      1.2s
                  => => # cc -c main.c
                  => [assets 2/4] RUN npm ci                                   3.0s
     4 targets waiting

A step that several targets want stands with the first of them that is still going. What goes on always fits; targets
that ended take what is left of the screen, and are counted where it is too small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size

from bakery.console.model import Model, Step
from bakery.console.rows import Row, Screen, header, row, seconds_text, share_out, step_row
from bakery.console.targets import TargetProgress
from bakery.console.text import plural

RECENT_ROWS = 4
"""Kept for the targets that ended last, whatever the running steps have to say."""
OUTCOMES = {
    "succeeded": ("built", "run"),
    "cached": ("CACHED", "run"),
    "failed": ("FAILED", "error"),
    "cancelled": ("canceled", "cancel"),
    "not started": ("not started", "cancel"),
}
"""The word for an outcome, and its style."""
_ENGINE = ""


def live(model: Model, now: float, screen: Screen, left: float | None) -> list[Row]:
    """The picture; never higher than the screen."""
    board = model.board
    waiting = sum(not target.outcome and not target.running for target in board.all.values())
    waiting = waiting if screen.height > 5 else 0
    room = max(1, screen.height - 2) - bool(waiting)
    running = _in_order(model)
    shown = running if len(running) <= room else running[: max(1, room - 1)]
    more = len(running) - len(shown)
    room -= len(shown) + bool(more)
    width = _name_width(model, screen)
    indent = " " * (width + 8)
    count = f"{len(board.ended)} of {plural(len(board.all), 'target')}"
    below = share_out(
        [step for _, step in shown], max(0, room - min(RECENT_ROWS, len(board.ended))), now, screen, indent
    )
    room -= sum(map(len, below.values()))
    rows = [header(model, now, screen, left=left, note=count), *_ended(board.ended, room, width, now, screen)]
    rows += _running(shown, board.all, below, width, now, screen)
    if more:
        rows.append(row(f" ... and {more:,} more running", "", screen))
    if waiting:
        rows.append(row(f" {plural(waiting, 'target')} waiting", "", screen, "faint"))
    return rows


def _in_order(model: Model) -> list[tuple[str, Step]]:
    """Running steps with the target they stand with, the steps of one target together, those that began first first."""
    groups: dict[str, list[Step]] = {_ENGINE: []}
    for step in model.running.values():
        going = (name for name in step.targets if name in model.board.all and not model.board.all[name].outcome)
        groups.setdefault(next(going, next(iter(step.targets), _ENGINE)), []).append(step)
    return [(name, step) for name, steps in groups.items() for step in steps]


def _name_width(model: Model, screen: Screen) -> int:
    """As wide as the longest name, but no more than a third: the same in all frames, or the picture would jump."""
    longest = max(map(cell_len, model.targets), default=0)
    return max(1, min(longest, screen.width // 3 if screen.width < 120 else 40, screen.width - 12))


def _ended(targets: Sequence[TargetProgress], room: int, width: int, now: float, screen: Screen) -> list[Row]:
    """Targets that have ended, the latest last; those that do not fit are counted, and failures come before others."""
    if not targets or room <= 0:
        return []
    if len(targets) <= room:
        return [_ended_row(target, width, now, screen) for target in targets]
    kept = sorted(range(len(targets)), key=lambda at: (targets[at].outcome != "failed", -at))[: room - 1]
    rows = [_ended_row(targets[at], width, now, screen) for at in sorted(kept)]
    return [row(f" {plural(len(targets) - len(kept), 'other target')} ended", "", screen, "run"), *rows]


def _ended_row(target: TargetProgress, width: int, now: float, screen: Screen) -> Row:
    word, style = OUTCOMES.get(target.outcome, (target.outcome, ""))
    return row(f" {_fit(target.name, width)}  {word}", seconds_text(target.seconds(now)), screen, style)


def _running(
    shown: Sequence[tuple[str, Step]],
    targets: Mapping[str, TargetProgress],
    below: Mapping[str, list[Row]],
    width: int,
    now: float,
    screen: Screen,
) -> list[Row]:
    rows: list[Row] = []
    last = None
    for name, step in shown:
        lead = " " * (width + 9)
        if name != last or not name:
            target = targets.get(name)
            done = f"{target.finished}/{target.total}" if target else ""
            lead = f" {_fit(name, width)} {done:>6} "
        last = name
        others = len(step.targets) - 1
        title = f"{step.title} (+{plural(others, 'target')})" if others > 0 else step.title
        rows += [step_row(f"{lead}=> ", title, step, now, screen), *below[step.key]]
    return rows


def _fit(name: str, width: int) -> str:
    return set_cell_size(name if cell_len(name) <= width else f"{set_cell_size(name, max(0, width - 1))}~", width)

"""One picture of a build, as rows of text: BuildKit's familiar table, cut to what fits a screen.

    [+] Building 3.2s (12/15)                                       8 cached
     => CACHED [tools 2/4] RUN apt-get update                           0.0s
     => [api 3/5] RUN make                                              1.2s
     => => # cc -c main.c

While the build goes, running steps come last and always fit; what is left of the screen shows their transfers and last
log lines and the steps that ended most recently. The last picture shows every step. Long runs of hits are folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from rich.cells import cell_len, set_cell_size

from bakery.console.model import LogLine, Model, State, Step
from bakery.console.text import plural, printable, transferred
from bakery.values import frozen

LOG_ROWS = 6
TRANSFER_ROWS = 6
BAR_FROM, BAR_WIDTH = 100, 24
"""From this width on, transfers have a bar of so many cells."""
RECENT_ROWS = 4
"""Kept for the steps that ended last, whatever the running ones have to say."""
HITS_LIVE = 2
HITS_FINAL = 10
"""Longer runs of hits than this are folded into one row."""
_STYLES = {State.FAILED: "error", State.CANCELLED: "cancel", State.RUNNING: ""}
_PREFIXES = {State.FAILED: "ERROR ", State.CANCELLED: "CANCELED ", State.CACHED: "CACHED "}


@frozen
class Row:
    """One row, no wider than the screen; `style` names a colour of the palette."""

    text: str
    style: str = ""


@frozen
class Screen:
    """The size of a screen in cells, and how many log rows a running step may take."""

    width: int = 80
    height: int = 24
    log_rows: int = LOG_ROWS


def live(model: Model, now: float, screen: Screen) -> list[Row]:
    """The picture of a build that is going on; never higher than the screen."""
    room = max(1, screen.height - 2)
    running = list(model.running.values())
    shown = running if len(running) <= room else running[: room - 1]
    room -= len(shown) + (len(shown) < len(running))
    details = _share_out(shown, max(0, room - RECENT_ROWS), now, screen)
    room -= sum(map(len, details.values()))
    rows = [_header(model, now, screen, "")]
    rows += reversed(list(islice(_recent(model, now, screen), room)))
    for step in shown:
        rows += [_step_row(model, step, now, screen), *details[step.key]]
    if len(shown) < len(running):
        rows.append(_row(f" => ... and {len(running) - len(shown):,} more running", "", screen))
    return rows


def final(model: Model, now: float, screen: Screen) -> list[Row]:
    """The last picture, which stays on the screen."""
    well = all(step.state in (State.DONE, State.CACHED) for step in model.shown)
    rows = [_header(model, now, screen, "FINISHED" if well and model.shown else "")]
    for cached, run in groupby(model.shown, lambda step: step.state is State.CACHED):
        steps = list(run)
        folded = len(steps) if cached and len(steps) > HITS_FINAL else 0
        if folded:
            rows.append(_hits_row(folded, screen))
            continue
        for step in steps:
            rows.append(_step_row(model, step, now, screen))
            rows += _transfers(step, step.transfers, now, screen)
            rows += [_row(f" => => WARN: {printable(w.short.encode())}", "", screen, "warning") for w in step.warnings]
    return rows


def _header(model: Model, now: float, screen: Screen, word: str) -> Row:
    seconds = max(0.0, now - model.began) if model.began is not None else 0.0
    # What a hit made unnecessary never starts: a finished build is not 12/15.
    total = model.finished if word else model.total
    right = f"{model.cached:,} cached" if model.cached else ""
    return _row(f"[+] Building {seconds:.1f}s ({model.finished}/{total}) {word}".rstrip(), right, screen)


def _recent(model: Model, now: float, screen: Screen) -> Iterator[Row]:
    """Rows of the steps that have ended, the latest first."""
    ended = (step for step in reversed(model.shown) if step.finished)
    for cached, run in groupby(ended, lambda step: step.state is State.CACHED):
        if not cached:
            yield from (_step_row(model, step, now, screen) for step in run)
            continue
        steps = list(run)
        if len(steps) > HITS_LIVE:
            yield _hits_row(len(steps), screen)
        else:
            yield from (_step_row(model, step, now, screen) for step in steps)


def _share_out(steps: list[Step], room: int, now: float, screen: Screen) -> dict[str, list[Row]]:
    """What each running step shows below its row; what one does not use of its share goes to those after it."""
    details: dict[str, list[Row]] = {}
    for left, step in zip(range(len(steps), 0, -1), steps, strict=True):
        share = -(-room // left)
        details[step.key] = list(_details(step, now, screen))[-share:] if share else []
        room -= len(details[step.key])
    return details


def _details(step: Step, now: float, screen: Screen) -> Iterator[Row]:
    """What there is to show of a running step: open transfers, then the end of its log."""
    going = [id_ for id_, status in step.transfers.items() if not status.completed]
    yield from _transfers(step, going[-TRANSFER_ROWS:], now, screen)
    lines = [*step.tail, LogLine(step.partial_offset, step.partial)]
    texts = [text for line in lines if (text := printable(line.text).expandtabs(4)).strip()]
    if screen.log_rows > 0:
        yield from (_row(f" => => # {text}", "", screen, "faint") for text in texts[-screen.log_rows :])


def _transfers(step: Step, ids: Iterable[str], now: float, screen: Screen) -> Iterator[Row]:
    for id_ in ids:
        status = step.transfers[id_]
        end = status.time if status.completed or step.finished else now
        amount = transferred(status.current, status.total)
        if status.total and not status.completed and screen.width >= BAR_FROM:
            amount = f"{_bar(status.current / status.total)} {amount}"
        yield _row(f" => => {_one_line(id_)}", _seconds(end - status.started), screen, "run", amount)


def _bar(part: float) -> str:
    done = round(max(0.0, min(1.0, part)) * BAR_WIDTH)
    return "[" + ("=" * done + ">")[:BAR_WIDTH].ljust(BAR_WIDTH) + "]"


def _step_row(model: Model, step: Step, now: float, screen: Screen) -> Row:
    name = _PREFIXES.get(step.state, "") + _one_line(model.title(step))
    return _row(f" => {name}", _seconds(step.clock.seconds(now)), screen, _STYLES.get(step.state, "run"))


def _hits_row(count: int, screen: Screen) -> Row:
    return _row(f" => CACHED {plural(count, 'step')}", _seconds(0.0), screen, "run")


def _row(left: str, right: str, screen: Screen, style: str = "", middle: str = "") -> Row:
    """Left text cut to make room for what stands at its right; one cell stays free, lest the terminal wraps."""
    width = screen.width - 1
    tail = f" {right}" if right else ""
    if len(tail) > width // 2:
        tail = ""
    note = f" {middle}" if middle and width - len(tail) - len(middle) > 20 else ""
    room = width - cell_len(tail)
    left = set_cell_size(left, min(cell_len(left), room - len(note))) + note
    return Row((set_cell_size(left, room) + tail).rstrip(), style)


def _one_line(text: str) -> str:
    return printable(text.replace("\n", " ").encode()).expandtabs(1)


def _seconds(seconds: float) -> str:
    return f"{seconds if seconds >= 0.05 else 0.0:.1f}s"

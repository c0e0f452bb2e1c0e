"""The rows that pictures of a build are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, set_cell_size

from bakery.console.model import LogLine, Model, State, Step
from bakery.console.text import plural, printable, transferred
from bakery.values import frozen

LOG_ROWS = 6
TRANSFER_ROWS = 6
BAR_FROM, BAR_WIDTH = 100, 24
"""From this width on, transfers have a bar of so many cells."""
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


def row(left: str, right: str, screen: Screen, style: str = "", middle: str = "") -> Row:
    """Left text cut to make room for what stands at its right; one cell stays free, lest the terminal wraps."""
    width = screen.width - 1
    tail = f" {right}" if right else ""
    if len(tail) > width // 2:
        tail = ""
    note = f" {middle}" if middle and width - len(tail) - len(middle) > 20 else ""
    room = width - cell_len(tail)
    left = set_cell_size(left, min(cell_len(left), room - len(note))) + note
    return Row((set_cell_size(left, room) + tail).rstrip(), style)


def header(model: Model, now: float, screen: Screen, word: str = "", left: float | None = None, note: str = "") -> Row:
    """How far everything is; `left` is an estimate in seconds."""
    seconds = max(0.0, now - model.began) if model.began is not None else 0.0
    # What a hit made unnecessary never starts: a finished build is not 12/15.
    total = model.finished if word else model.total
    text = f"[+] Building {seconds:.1f}s ({model.finished}/{total}) {word}".rstrip()
    text += f"  {note}" if note else ""
    right = [f"{model.cached:,} cached"] if model.cached else []
    right += [f"about {_rough(left)} left"] if left is not None else []
    return row(text, "  ".join(right), screen)


def step_row(lead: str, title: str, step: Step, now: float, screen: Screen) -> Row:
    """One step behind some leading text."""
    name = _PREFIXES.get(step.state, "") + one_line(title)
    return row(f"{lead}{name}", seconds_text(step.clock.seconds(now)), screen, _STYLES.get(step.state, "run"))


def hits_row(count: int, screen: Screen) -> Row:
    """Steps that were known, folded."""
    return row(f" => CACHED {plural(count, 'step')}", seconds_text(0.0), screen, "run")


def details(step: Step, now: float, screen: Screen, indent: str = "") -> Iterator[Row]:
    """What there is to show of a running step: open transfers, then the end of its log."""
    going = [id_ for id_, status in step.transfers.items() if not status.completed]
    yield from transfers(step, going[-TRANSFER_ROWS:], now, screen, indent)
    lines = [*step.tail, LogLine(step.partial_offset, step.partial)]
    texts = [text for line in lines if (text := printable(line.text).expandtabs(4)).strip()]
    if screen.log_rows > 0:
        yield from (row(f"{indent} => => # {text}", "", screen, "faint") for text in texts[-screen.log_rows :])


def transfers(step: Step, ids: Iterable[str], now: float, screen: Screen, indent: str = "") -> Iterator[Row]:
    """Transfers of a step, with a bar where there is room."""
    for id_ in ids:
        status = step.transfers[id_]
        end = status.time if status.completed or step.finished else now
        amount = transferred(status.current, status.total)
        if status.total and not status.completed and screen.width >= BAR_FROM:
            amount = f"{_bar(status.current / status.total)} {amount}"
        took = seconds_text(end - status.started)
        yield row(f"{indent} => => {one_line(id_)}", took, screen, "run", amount)


def share_out(steps: list[Step], room: int, now: float, screen: Screen, indent: str = "") -> dict[str, list[Row]]:
    """What each running step shows below its row; what one does not use of its share goes to those after it."""
    found: dict[str, list[Row]] = {}
    for left, step in zip(range(len(steps), 0, -1), steps, strict=True):
        share = -(-room // left)
        found[step.key] = list(details(step, now, screen, indent))[-share:] if share > 0 else []
        room -= len(found[step.key])
    return found


def one_line(text: str) -> str:
    """A name without line ends and tabs."""
    return printable(text.replace("\n", " ").encode()).expandtabs(1)


def seconds_text(seconds: float) -> str:
    """Seconds as BuildKit's table has them."""
    return f"{seconds if seconds >= 0.05 else 0.0:.1f}s"


def _bar(part: float) -> str:
    done = round(max(0.0, min(1.0, part)) * BAR_WIDTH)
    return "[" + ("=" * done + ">")[:BAR_WIDTH].ljust(BAR_WIDTH) + "]"


def _rough(seconds: float) -> str:
    """An estimate is not told more exactly than it is known."""
    if seconds < 60:
        return f"{max(1, round(seconds))}s"
    return f"{round(seconds / 60)}m" if seconds < 5400 else f"{seconds / 3600:.1f}h"

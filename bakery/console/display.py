"""The display of a build: takes the engine's events, and lets a thread of its own write what a view makes of them.

The engine's thread never waits for a terminal or a pipe: `listen` only takes the event in. The thread starts with the
first event, not before: by then the engine has entered its namespaces, which a process with threads may not do.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

from bakery.console import errors, summary
from bakery.console.clip import Clip, Limits
from bakery.console.colours import Palette, highlight, wants_colour
from bakery.console.model import Model, Step
from bakery.diagnostics import BakeryError
from bakery.values import frozen
from engine.events import Event, Warned
from engine.request import BuildResult, Outcome

if TYPE_CHECKING:
    from bakery.console.estimate import Past

MODES = ("auto", "none", "plain", "quiet", "rawjson", "tty")
PERIOD = 0.1
"""Seconds between two writings, at least."""
IDLE_PART = 40
"""The display rests so many times as long as it worked, whatever there is to show: 2.5 % of a core."""


@frozen
class Folding:
    """What a CI service is told before the progress, after it, and when everything is said."""

    begin: Callable[[], str]
    end: Callable[[], str]
    over: Callable[[], str] = str


class View(Protocol):
    """One way to show a build. `now` is in seconds since the epoch."""

    def feed(self, event: Event) -> None:
        """Take an event in; no I/O."""
        ...

    def render(self, now: float) -> str:
        """What is to be written now."""
        ...

    def final(self, now: float) -> str:
        """What is to be written last."""
        ...


class SilentView:
    """`quiet` and `none`: keeps the model for the errors at the end, and shows nothing."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def feed(self, event: Event) -> None:
        """Take an event in."""
        self._model.apply(event)

    def render(self, now: float) -> str:
        """Nothing."""
        return ""

    final = render


class Display:
    """Shows a build while its context is entered; `finish` says how it ended.

    An error in writing (a closed pipe, say) silences the display and nothing else: the build goes on.
    """

    def __init__(
        self, view: View, model: Model, stream: TextIO, *, clip: Clip, colours: bool, talkative: bool, debug: bool
    ) -> None:
        self._view = view
        self._model = model
        self._stream = stream
        self._clip = clip
        self._colours = colours
        self._talkative = talkative
        self._debug = debug
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._mute = False
        self._folding: Folding | None = None
        self.columns: Callable[[], int] = lambda: 0
        """How many the screen has now; 0 if there is none, where nobody has to break lines."""
        self.lively = False
        """Whether somebody is looking at a terminal."""
        self.palette = Palette()
        """The colours of what is said at the end."""
        self.fault: Exception | None = None
        """What went wrong in the display itself, if anything did."""

    def __enter__(self) -> Display:
        if self._folding:
            self._write(self._folding.begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._folding:
            self._write(self._folding.over())

    def fold(self, folding: Folding | None) -> None:
        """Has the progress, but not what is said after it, put between two marks."""
        self._folding = folding

    def listen(self, event: Event) -> None:
        """The engine's listener: returns at once and never raises."""
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="display", daemon=True)
                self._thread.start()
            with self._lock:
                for shown in self._clip(event):
                    self._view.feed(shown)
        except Exception as fault:  # our bug; a build must not die of its display
            self.fault = self.fault or fault

    @property
    def warnings(self) -> list[Warned]:
        """What the frontends warned of."""
        return self._model.warnings()

    def slowest(self, count: int) -> list[tuple[str, float]]:
        """The steps that took longest, with their seconds."""
        found = [(self._model.title(step), step.clock.seconds(time.time())) for step in self._model.shown]
        return sorted((each for each in found if each[1] >= 0.05), key=lambda each: -each[1])[:count]

    def finish(self, result: BuildResult) -> None:
        """Ends the view, then says how each target ended and what went wrong, the errors last."""
        self._stop()
        if self._talkative:
            self._write(summary.warnings(self._model.warnings(), self._debug))
            self._write(summary.slowest(self._model, time.time()))
            if result.targets:
                self._write(highlight("\n" + summary.targets(result, self.columns()), self.palette))
        self._write(highlight(failures(result, self._model, self._colours), self.palette))
        if self._talkative:
            self._write(summary.next_steps(result))

    def advise(self, text: str) -> None:
        """One line more for somebody who sits in front of a screen; nothing where nobody does."""
        if self.lively:
            self._write(text)

    def _run(self) -> None:
        pause = PERIOD
        while not self._over.wait(pause):
            began = time.thread_time()
            self._paint()
            pause = rest(time.thread_time() - began)

    def _stop(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        if self._thread:
            self._thread.join()
        self._paint(last=True)
        if self._folding:
            self._write(self._folding.end())

    def _paint(self, last: bool = False) -> None:
        try:
            with self._lock:
                text = self._view.final(time.time()) if last else self._view.render(time.time())
        except Exception as fault:  # as in `listen`
            self.fault = self.fault or fault
            return
        self._write(text)

    def _write(self, text: str) -> None:
        if not text or self._mute:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._mute = True


def make_display(
    mode: str,
    stream: TextIO,
    env: Mapping[str, str],
    *,
    targets: Sequence[str] = (),
    debug: bool = False,
    past: Callable[[], Past] | None = None,
    folding: Folding | None = None,
) -> Display:
    """The display for a `--progress` mode; `auto` looks at `BUILDKIT_PROGRESS`, then at the stream and the environment.

    `targets` are the names of what is built; `past` reads how long steps took before, for an estimate; `folding` gives
    what a CI service takes as the beginning and the end of lines that it may fold.

    Raises BakeryError for a mode that is unknown or impossible here.
    """
    mode = choose_mode(mode, stream, env)
    model = Model(targets)
    colours = not env.get("NO_COLOR")
    view: View
    if mode == "tty":
        from bakery.console.estimate import Estimate
        from bakery.console.tty import TtyView

        palette = Palette.of(env, terminal=True)
        estimate = Estimate(past) if past else None
        view = TtyView(model, palette, lambda: _size(stream), _log_rows(env), estimate)
        colours = wants_colour(env, terminal=True)
    elif mode == "plain":
        from bakery.console.plain import PlainView

        view = PlainView(model, colours)
    elif mode == "rawjson":
        from bakery.console.rawjson import RawJsonView

        view = RawJsonView(targets)
    else:
        view = SilentView(model)
    clip = Clip(Limits.of(env))
    display = Display(view, model, stream, clip=clip, colours=colours, talkative=mode in ("tty", "plain"), debug=debug)
    if mode == "plain":
        display.fold(folding)
    if mode == "tty":
        display.palette = Palette.of(env, terminal=True)
        display.columns = lambda: _size(stream)[0]
        display.lively = True
    return display


def choose_mode(mode: str, stream: TextIO, env: Mapping[str, str]) -> str:
    """The mode that is meant: never `auto`. Raises BakeryError."""
    asked = "--progress"
    if mode == "auto" and env.get("BUILDKIT_PROGRESS"):
        asked, mode = "BUILDKIT_PROGRESS", env["BUILDKIT_PROGRESS"]
    if mode not in MODES:
        raise BakeryError.of(f"{asked}: there is no progress mode {mode!r}", hint=f"choose one of {', '.join(MODES)}")
    terminal = _is_terminal(stream)
    if mode == "tty" and not terminal:
        raise BakeryError.of(
            f"{asked}=tty needs a terminal, and this output is none", hint="use plain, or auto to have it chosen"
        )
    if mode == "auto":
        lively = terminal and env.get("TERM") != "dumb" and env.get("CI", "") in ("", "0", "false")
        return "tty" if lively else "plain"
    return mode


def rest(cost: float) -> float:
    """Seconds to the next writing after one that took so many seconds of a core."""
    return max(PERIOD, IDLE_PART * cost)


def failures(result: BuildResult, model: Model, colours: bool = False) -> str:
    """Everything there is to say about what failed: the ends of the logs, then each error once."""
    told = model.failures()
    out = [errors.step_tail(step, model.title(step), colours) for step in told]
    for error, names in _by_error(result).items():
        if not _was_told(error, told):
            out.append(errors.step_error_tail(error))
        out.append(errors.render(error, names))
    if result.failed and not any(t.outcome is Outcome.FAILED for t in result.targets.values()):
        out.append("ERROR: canceled\n")
    return "".join(out)


def _by_error(result: BuildResult) -> dict[Exception, list[str]]:
    """Which targets each error broke. A step that several share fails them all with the same words."""
    names: dict[Exception, list[str]] = {}
    same: dict[tuple[type[Exception], str, str], Exception] = {}
    for target in result.targets.values():
        if target.outcome is Outcome.FAILED and target.error:
            key = (type(target.error), str(target.error), getattr(target.error, "vertex", ""))
            names.setdefault(same.setdefault(key, target.error), []).append(target.name)
    return names


def _was_told(error: Exception, steps: Sequence[Step]) -> bool:
    vertex = getattr(error, "vertex", "")
    return any(vertex in (step.title, step.key) or step.error == str(error) for step in steps)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def _size(stream: TextIO) -> tuple[int, int]:
    try:
        return os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 0, 0


def _log_rows(env: Mapping[str, str]) -> int:
    from bakery.console.rows import LOG_ROWS

    value = env.get("BUILDKIT_TTY_LOG_LINES", "")
    return int(value) if value.isdecimal() else LOG_ROWS

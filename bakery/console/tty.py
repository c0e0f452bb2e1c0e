"""The live view: draws a frame over the one before it, with nothing but cursor movement every terminal knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.cells import cell_len

from bakery.console.colours import Palette
from bakery.console.estimate import Estimate
from bakery.console.frame import final, live
from bakery.console.model import Model
from bakery.console.rows import Row, Screen
from engine.events import Event

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


class Painter:
    """Remembers what it drew, so that the next frame lies exactly over it, even after the window was resized."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self._drawn: list[int] = []

    def draw(self, rows: Sequence[Row], screen: Screen) -> str:
        """The characters that replace the last frame by this one. The cursor ends below it, at the left."""
        # In a narrower window the terminal has wrapped the old rows; what left the screen at the top cannot be reached.
        up = min(sum(max(1, -(-width // screen.width)) for width in self._drawn), screen.height - 1)
        self._drawn = [cell_len(row.text) for row in rows]
        lines = (self._palette.paint(row.text, row.style) + _CLEAR_LINE + "\n" for row in rows)
        return "".join([_HIDE_CURSOR, "\r", f"\x1b[{up}A" if up else "", *lines, _CLEAR_BELOW, _SHOW_CURSOR])


class TtyView:
    """Takes events in; `render` gives the characters that repaint the screen. `size` gives its columns and lines."""

    def __init__(
        self,
        model: Model,
        palette: Palette,
        size: Callable[[], tuple[int, int]],
        log_rows: int,
        estimate: Estimate | None = None,
    ) -> None:
        self._model = model
        self._estimate = estimate
        self._painter = Painter(palette)
        self._size = size
        self._screen = Screen(log_rows=log_rows)

    def feed(self, event: Event) -> None:
        """Take an event in."""
        self._model.apply(event)

    def render(self, now: float) -> str:
        """What repaints the screen; nothing before the first step has begun."""
        if self._model.began is None:
            return ""
        screen = self._measure()
        left = self._estimate.left(self._model, now) if self._estimate else None
        return self._painter.draw(live(self._model, now, screen, left), screen)

    def final(self, now: float) -> str:
        """What leaves the last picture on the screen."""
        if self._model.began is None:
            return ""
        screen = self._measure()
        return self._painter.draw(final(self._model, now, screen), screen)

    def _measure(self) -> Screen:
        columns, lines = self._size()
        # BuildKit's own fallback for a terminal that does not know its size is 80 × 10.
        self._screen = replace(self._screen, width=max(10, columns or 80), height=max(4, lines or 10))
        return self._screen

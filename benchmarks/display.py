"""What the live view costs: 100 targets with 10,000 steps between them, 20 seconds long, on a terminal.

    python benchmarks/display.py [SECONDS]

Prints the part of a core that taking events in and drawing took together: the process's CPU time over the clock's, less
what making the events and reading the pictures takes, which a run without a display shows.
"""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import termios
import threading
import time
from collections.abc import Callable

from bakery.console.display import make_display
from engine.events import Event, LogChunk, Stream, VertexCompleted, VertexKnown, VertexStarted
from engine.request import BuildResult

TARGETS, STEPS, AT_ONCE = 100, 10_000, 16
SHOW_CURSOR = b"\x1b[?25h"


def main(seconds: float) -> None:
    """Shows a build, and lets another go unseen."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 200))
    pictures = [0]

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end has been closed
            while data := os.read(ours, 65536):
                pictures[0] += data.count(SHOW_CURSOR)

    threading.Thread(target=read, daemon=True).start()
    names = [f"target-{number}" for number in range(TARGETS)]
    with open(theirs, "w", encoding="utf-8") as stream:
        display = make_display("tty", stream, {"TERM": "xterm"}, targets=names)
        with display:
            for number in range(STEPS):
                target = names[number % TARGETS]
                display.listen(VertexKnown(_digest(number), f"[{number // TARGETS}/100] RUN make", targets=(target,)))
            used = drive(display.listen, seconds)
            display.finish(BuildResult({}))
    unseen = drive(lambda event: None, seconds)
    print(f"{(used - unseen) / seconds:.1%} of a core, {pictures[0]} pictures in {seconds:.0f} s")


def drive(listen: Callable[[Event], None], seconds: float) -> float:
    """Runs as many steps as there are, evenly, each with two lines of log. Returns the seconds of CPU that it took."""
    began, used = time.monotonic(), time.process_time()
    for number in range(STEPS + AT_ONCE):
        if number < STEPS:
            listen(VertexStarted(_digest(number), time.time()))
            listen(LogChunk(_digest(number), Stream.STDOUT, b"cc -c main.c\ncc -c util.c\n", time.time()))
        if number >= AT_ONCE:
            listen(VertexCompleted(_digest(number - AT_ONCE), time.time()))
        ahead = began + seconds * number / STEPS - time.monotonic()
        if ahead > 0.005:
            time.sleep(ahead)
    return time.process_time() - used


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)

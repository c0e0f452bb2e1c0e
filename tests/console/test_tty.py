import re

from support.build_story import START, done, failing_build, known, play, said, started

from bakery.console.colours import Palette
from bakery.console.model import Model
from bakery.console.tty import TtyView


class Terminal:
    """As much of a terminal as the live view may count on: wrapped lines, up, carriage return, clearing."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [""]
        self.at = 0

    def write(self, text: str) -> None:
        for token in re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
            if token == "\n":
                self.at += 1
                self.rows += [""] * (self.at - len(self.rows) + 1)
            elif token == "\x1b[J":
                del self.rows[self.at + 1 :]
                self.rows[self.at] = ""
            elif token.endswith("A"):
                self.at -= int(token[2:-1])
                assert self.at >= max(0, len(self.rows) - self.height), "moved above the top of the screen"
            elif token.startswith("\x1b") or token == "\r":
                assert token in ("\r", "\x1b[K", "\x1b[?25l", "\x1b[?25h") or token.endswith("m"), token
            else:
                self.rows[self.at] = token

    def shrink(self, width: int) -> None:
        """What a terminal does with lines that no longer fit: it wraps them."""
        self.width = width
        self.rows = [row[i : i + width] for row in self.rows for i in range(0, max(len(row), 1), width)]
        self.at = len(self.rows) - 1


def view(terminal: Terminal, palette: Palette | None = None) -> TtyView:
    return TtyView(Model(), palette or Palette(), lambda: (terminal.width, terminal.height), log_rows=6)


def test_frames_lie_over_each_other_and_the_last_one_stays() -> None:
    terminal = Terminal(80, 24)
    terminal.write("$ bakery build\n")
    terminal.write(play(view(terminal), failing_build()))
    assert terminal.rows == [
        "$ bakery build",
        "[+] Building 12.3s (5/5)                                               1 cached",
        " => [internal] load build definition from Dockerfile                       0.0s",
        " => => transferring dockerfile: 154B                                       0.0s",
        " => CACHED [base 1/1] FROM busybox                                         0.0s",
        " => ERROR [build 1/2] RUN make                                            12.1s",
        " => [site 1/1] RUN mkdocs                                                  1.4s",
        " => CANCELED [build 2/2] COPY a b                                          0.0s",
        "",
    ]


def test_a_narrower_window_leaves_nothing_of_the_frame_before() -> None:
    terminal = Terminal(80, 24)
    tty = view(terminal)
    terminal.write("before\n")
    for event in [known(1, "RUN a"), started(1, 0), said(1, 0.1, b"x" * 70 + b"\n")]:
        tty.feed(event)
    terminal.write(tty.render(START + 1))
    terminal.shrink(40)
    terminal.write(tty.render(START + 2))
    assert terminal.rows[0] == "before"
    assert [row.split()[0] for row in terminal.rows[1:-1]] == ["[+]", "=>", "=>"]


def test_a_lower_window_never_moves_above_its_top() -> None:
    terminal = Terminal(80, 40)
    tty = view(terminal)
    for number in range(30):
        tty.feed(known(number, f"RUN {number}"))
        tty.feed(started(number, 0))
    terminal.write(tty.render(START + 1))
    terminal.height = 10
    terminal.write(tty.render(START + 2))  # the assertion is in the terminal
    assert len(tty.render(START + 3).split("\n")) == 10


def test_colours_mark_whole_rows() -> None:
    terminal = Terminal(80, 24)
    text = play(view(terminal, Palette(error="31", run="34")), failing_build())
    assert "\x1b[31m => ERROR [build 1/2] RUN make" in text
    assert "\x1b[34m => CACHED [base 1/1]" in text


def test_nothing_is_drawn_before_anything_has_begun() -> None:
    assert play(view(Terminal(80, 24)), [known(1, "RUN a")]) == ""


def test_the_cursor_is_shown_again_after_every_frame() -> None:
    terminal = Terminal(80, 24)
    tty = view(terminal)
    for event in (known(1, "RUN a"), started(1, 0), done(1, 1)):
        tty.feed(event)
        frame = tty.render(START + 1)
        assert frame.count("\x1b[?25l") == frame.count("\x1b[?25h")

import io
import json
import os
import pty
import threading
from pathlib import Path

import pytest
from support.build_story import done, failing_build, known, said, started

from bakery.console.colours import Palette, highlight
from bakery.console.display import PERIOD, choose_mode, make_display, rest
from bakery.diagnostics import BakeryError
from engine.errors import ExitError
from engine.events import Event
from engine.request import BuildResult, Outcome, TargetResult

ERROR = 'process "/bin/sh -c make" did not complete successfully: exit code: 2'


def failing_result() -> BuildResult:
    error = ExitError("/bin/sh -c make", 2, log=b"from the error\n")
    error.at((), "[build 1/2] RUN make")
    return BuildResult(
        {
            "api": TargetResult("api", Outcome.FAILED, {}, error, steps=3, hits=1, seconds=12.2),
            "docs": TargetResult("docs", Outcome.CANCELLED, {}, None, steps=2, hits=1, seconds=1.5),
        }
    )


def show(mode: str, events: list[Event], result: BuildResult, env: dict[str, str] | None = None) -> str:
    stream = io.StringIO()
    with make_display(mode, stream, env or {}, targets=("api", "docs")) as display:
        for event in events:
            display.listen(event)
        display.finish(result)
    assert display.fault is None
    return stream.getvalue()


def test_plain_ends_with_the_summary_the_log_and_the_error() -> None:
    text = show("plain", failing_build(), failing_result(), {"NO_COLOR": "1"})
    assert text.endswith(
        "\n slowest steps:\n"
        "   12.1s  [api build 1/2] RUN make\n"
        "\n api   FAILED      12.2s  1/3 steps cached\n"
        " docs  canceled     1.5s  1/2 steps cached\n"
        "------\n"
        " > [api build 1/2] RUN make:\n"
        "0.300 cc -c main.c\n"
        "0.300 cc -c util.c\n"
        "------\n"
        f"ERROR: target api: failed to solve: {ERROR}\n"
        "next: `bakery build api` for these alone, `bakery history logs --failed` for whole logs,"
        " `bakery report` for a page\n"
    )
    assert text.startswith("#1 [internal] load build definition from Dockerfile\n")


def test_quiet_and_none_say_only_what_failed() -> None:
    for mode in ("quiet", "none"):
        assert show(mode, failing_build(), failing_result()).startswith("------\n > [api build 1/2] RUN make:\n")
        fine = BuildResult({"api": TargetResult("api", Outcome.SUCCEEDED)})
        assert show(mode, [known(1, "a"), started(1, 0), done(1, 1)], fine) == ""


def test_rawjson_is_json_until_the_error() -> None:
    lines = show("rawjson", failing_build(), failing_result()).splitlines()
    records = [json.loads(line) for line in lines[: len(failing_build())]]
    assert all(len(record) == 1 for record in records)
    assert lines[len(records)] == "------"


def test_an_error_whose_step_no_event_told_shows_the_log_it_carries() -> None:
    assert show("quiet", [], failing_result()).startswith("------\n > [build 1/2] RUN make:\nfrom the error\n------\n")


def test_what_was_only_cancelled_says_so() -> None:
    result = BuildResult({"docs": TargetResult("docs", Outcome.CANCELLED)})
    assert show("quiet", [], result) == "ERROR: canceled\n"


def test_targets_that_the_same_error_broke_share_its_words() -> None:
    both = BuildResult(
        {name: TargetResult(name, Outcome.FAILED, error=ExitError("make", 2)) for name in ("api", "docs")}
    )
    text = show("quiet", [], both)
    assert text.count("ERROR") == 1
    assert text.startswith("ERROR: targets api, docs: failed to solve: ")


def test_a_closed_pipe_silences_the_display_and_nothing_else() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        with make_display("plain", stream, {}) as display:
            for event in failing_build():
                display.listen(event)
            display.finish(failing_result())
        assert display.fault is None
        # What the file object still holds cannot be written either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_a_fault_in_a_view_never_reaches_the_engine() -> None:
    with make_display("plain", io.StringIO(), {}) as display:
        display.listen("no event")  # type: ignore[arg-type]
    assert isinstance(display.fault, AttributeError)


def test_no_thread_before_the_first_event_and_none_after_the_end() -> None:
    before = threading.active_count()
    with make_display("plain", io.StringIO(), {}) as display:
        assert threading.active_count() == before
        display.listen(known(1, "a"))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_any_bytes_of_a_log_can_be_written_to_an_ascii_stream(tmp_path: Path) -> None:
    story = (known(1, "RUN 字"), started(1, 0), said(1, 0, bytes(range(256))), done(1, 1))
    ascii_only = (tmp_path / "log").open("w", encoding="ascii", errors="backslashreplace")
    with ascii_only, make_display("plain", ascii_only, {}) as display:
        for event in story:
            display.listen(event)
    assert display.fault is None
    assert "#1 DONE" in (tmp_path / "log").read_text()


@pytest.fixture
def terminal() -> io.TextIOWrapper:
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w")
    yield stream  # type: ignore[misc]
    stream.close()
    os.close(master)


@pytest.mark.parametrize(
    ("mode", "env", "chosen"),
    [
        ("auto", {"TERM": "xterm"}, "tty"),
        ("auto", {}, "tty"),
        ("auto", {"TERM": "dumb"}, "plain"),
        ("auto", {"CI": "true"}, "plain"),
        ("auto", {"CI": "false"}, "tty"),
        ("auto", {"BUILDKIT_PROGRESS": "rawjson"}, "rawjson"),
        ("tty", {"CI": "true", "BUILDKIT_PROGRESS": "plain"}, "tty"),
        ("quiet", {}, "quiet"),
    ],
)
def test_the_mode_on_a_terminal(mode: str, env: dict[str, str], chosen: str, terminal: io.TextIOWrapper) -> None:
    assert choose_mode(mode, terminal, env) == chosen


def test_without_a_terminal_auto_is_plain_and_tty_an_error() -> None:
    assert choose_mode("auto", io.StringIO(), {}) == "plain"
    with pytest.raises(BakeryError, match="--progress=tty needs a terminal"):
        choose_mode("tty", io.StringIO(), {})
    with pytest.raises(BakeryError, match="BUILDKIT_PROGRESS: there is no progress mode 'fancy'"):
        choose_mode("auto", io.StringIO(), {"BUILDKIT_PROGRESS": "fancy"})


def colours(env: dict[str, str]) -> bool:
    master, slave = pty.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunks.append(os.read(master, 65536))
            except OSError:  # Linux says EIO when the other side is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as stream, make_display("tty", stream, env) as display:
        for event in failing_build():
            display.listen(event)
        display.finish(failing_result())
    reader.join()
    os.close(master)
    text = b"".join(chunks)
    assert b"[+] Building" in text
    return b"\x1b[31m => ERROR" in text


def test_the_live_view_is_coloured_unless_told_not_to_be() -> None:
    assert colours({"TERM": "xterm"})
    assert not colours({"TERM": "xterm", "NO_COLOR": "1"})
    assert not colours({"TERM": "dumb"})
    assert colours({"TERM": "dumb", "FORCE_COLOR": "1"})
    assert not colours({"BUILDKIT_COLORS": "error=green"})


def test_the_display_never_takes_more_than_a_small_part_of_a_core() -> None:
    assert rest(0.0001) == PERIOD
    for cost in (0.01, 0.1, 2.0):
        assert cost / (cost + rest(cost)) < 0.05


def test_on_a_terminal_what_went_wrong_has_its_colour_and_nothing_else_has() -> None:
    text = "ERROR: no\n api  FAILED      1.0s\n   7 | >>> RUN ERROR: x\nWARNING: y\nFAILED\n"
    found = highlight(text, Palette(error="31", warning="33"))
    assert found == (
        "\x1b[31mERROR:\x1b[0m no\n api  \x1b[31mFAILED\x1b[0m      1.0s\n"
        "   7 | \x1b[31m>>>\x1b[0m RUN ERROR: x\n\x1b[33mWARNING:\x1b[0m y\nFAILED\n"
    )
    assert highlight(text, Palette()) == text

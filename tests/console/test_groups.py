"""The picture of a build of several targets."""

import pytest
from rich.cells import cell_len
from support.build_story import START, cached, done, failed, known, moved, said, started

from bakery.console.frame import final, live
from bakery.console.model import Model
from bakery.console.rows import Row, Screen
from engine.events import Event, TargetEnded


def after(events: list[Event], *targets: str) -> Model:
    model = Model(targets)
    for event in events:
        model.apply(event)
    return model


def texts(rows: list[Row]) -> list[str]:
    return [row.text for row in rows]


def story() -> list[Event]:
    """Four targets over one base: one built, one failed, one at work on two steps, one that waits."""
    return [
        known(1, "[base 1/1] RUN apt-get update", "api", "web", "docs", "site"),
        known(2, "[build 1/2] RUN make", "api", inputs=(1,)),
        known(3, "[site 1/1] RUN mkdocs", "docs", inputs=(1,)),
        known(4, "[build 1/3] RUN npm ci", "web", inputs=(1,)),
        known(5, "[fonts 1/2] COPY fonts /", "web", inputs=(1,)),
        known(6, "[build 1/1] RUN hugo", "site", inputs=(5,)),
        cached(1, 0.1),
        started(2, 0.2),
        started(3, 0.2),
        done(2, 1.0),
        TargetEnded("api", START + 1.1, "succeeded"),
        failed(3, 2.0, "exit code: 1"),
        TargetEnded("docs", START + 2.0, "failed"),
        started(4, 2.0),
        said(4, 2.5, b"fetching\nlinking\n"),
        started(5, 2.5),
        moved(5, 3.0, "transferring", 1_000_000, 4_000_000, 2.5),
    ]


def test_each_target_says_how_far_it_is() -> None:
    model = after(story(), "api", "web", "docs", "site")
    assert texts(live(model, START + 4, Screen(80, 24))) == [
        "[+] Building 3.9s (3/6)  2 of 4 targets                                1 cached",
        " api   built                                                               0.9s",
        " docs  FAILED                                                              1.8s",
        " web     1/3 => [build 1/3] RUN npm ci                                     2.0s",
        "             => => # fetching",
        "             => => # linking",
        "             => [fonts 1/2] COPY fonts /                                   1.5s",
        "             => => transferring 1.00MB / 4.00MB                            1.5s",
        " 1 target waiting",
    ]


def test_a_shared_step_stands_with_one_target_and_counts_the_others() -> None:
    names = [f"app-{n}" for n in range(100)]
    events: list[Event] = [known(1, "[base 1/2] RUN apt-get update", *names), started(1, 0)]
    rows = texts(live(after(events, *names), START + 3, Screen(80, 24)))
    assert rows[1:] == [
        " app-0     0/1 => [base 1/2] RUN apt-get update (+99 targets)              3.0s",
    ]


def hundred(running: int) -> Model:
    """A hundred targets of ten steps: half of them have ended, some are at work."""
    names = [f"service-number-{n}" for n in range(100)]
    events: list[Event] = []
    for n, name in enumerate(names):
        events += [known(10 * n + k, f"[build {k}/10] RUN step {k} && something rather long", name) for k in range(10)]
        if n < 50:
            events += [cached(10 * n + k, 0) for k in range(10)]
            events.append(TargetEnded(name, START + n, "failed" if n == 7 else "succeeded"))
        elif n < 50 + running:
            events += [started(10 * n, 50), said(10 * n, 51, b"one\ntwo\n")]
    return after(events, *names)


@pytest.mark.parametrize("running", [0, 1, 16, 50])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 6), (12, 4)])
def test_any_screen_holds_a_hundred_targets(width: int, height: int, running: int) -> None:
    model = hundred(running)
    rows = live(model, START + 60, Screen(width, height))
    assert len(rows) <= height - 1
    assert all(cell_len(row.text) < width for row in rows)


def test_of_many_ended_targets_the_failed_and_the_latest_are_named() -> None:
    rows = texts(live(hundred(2), START + 60, Screen(80, 16)))
    assert rows[1].endswith(" other targets ended")
    assert any("service-number-7 " in row and "FAILED" in row for row in rows)
    assert rows[-1] == " 48 targets waiting"


def test_what_is_left_is_told_in_round_numbers() -> None:
    model = after(story(), "api", "web", "docs", "site")
    for seconds, words in [(0.2, "about 1s left"), (21.4, "about 21s left"), (200.0, "about 3m left")]:
        assert live(model, START + 4, Screen(80, 24), seconds)[0].text.endswith(f"1 cached  {words}")


def test_the_last_picture_of_very_many_steps_has_what_matters() -> None:
    events: list[Event] = [known(n, f"RUN {n}", "api") for n in range(1000)]
    events += [started(n, 0) for n in range(1000)]
    events += [done(n, 1 + n / 1000) for n in range(999)]
    events.append(failed(999, 5, "exit code: 1"))
    rows = texts(final(after(events, "api"), START + 6, Screen(80, 24)))
    assert len(rows) == 1 + 20 + 1 + 1
    assert rows[-2].split()[1:4] == ["ERROR", "RUN", "999"]
    assert rows[-1] == " => and 979 other steps: `bakery history show` has them"

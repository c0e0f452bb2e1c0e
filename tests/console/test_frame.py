from itertools import takewhile

import pytest
from rich.cells import cell_len
from support.build_story import START, cached, digest, done, failing_build, known, moved, said, started

from bakery.console.frame import final, live
from bakery.console.model import Model
from bakery.console.rows import Screen
from engine.events import Event, VertexCompleted


def after(events: list[Event], *targets: str) -> Model:
    model = Model(targets)
    for event in events:
        model.apply(event)
    return model


def picture(rows: list) -> list[str]:  # type: ignore[type-arg]
    return [row.text for row in rows]


def midway() -> list[Event]:
    """The failing build until its second target is done."""
    docs = VertexCompleted(digest(5), START + 1.5)
    return [*takewhile(lambda event: event != docs, failing_build()), docs]


def test_a_build_that_goes_on_at_80_columns() -> None:
    model = after([*midway(), moved(3, 1.5, "sha256:abc", 1_500_000, 31_420_000, 1.0)], "api")
    assert picture(live(model, START + 3.2, Screen(80, 24))) == [
        "[+] Building 3.2s (3/5)                                                1 cached",
        " => [internal] load build definition from Dockerfile                       0.0s",
        " => CACHED [base 1/1] FROM busybox                                         0.0s",
        " => [site 1/1] RUN mkdocs                                                  1.4s",
        " => [build 1/2] RUN make                                                   3.1s",
        " => => sha256:abc 1.50MB / 31.42MB                                         2.2s",
        " => => # cc -c main.c",
        " => => # cc -c util.c",
    ]


def test_a_transfer_has_a_bar_where_there_is_room() -> None:
    model = after([known(1, "FROM a"), started(1, 0), moved(1, 1, "sha256:abc", 1_500_000, 6_000_000, 0.0)])
    row = picture(live(model, START + 2, Screen(100, 24)))[2]
    assert row.startswith(" => => sha256:abc [======>                 ] 1.50MB / 6.00MB   ")


def test_the_same_at_200_columns_only_has_wider_gaps() -> None:
    model = after(midway(), "api", "docs")
    narrow, wide = (picture(live(model, START + 3.2, Screen(width, 24))) for width in (80, 200))
    assert [line.split() for line in wide] == [line.split() for line in narrow]
    assert max(map(len, wide)) == 199


def test_the_last_picture_of_a_failure() -> None:
    rows = final(after(failing_build(), "api", "docs"), START + 12.3, Screen(80, 24))
    assert [(row.style, row.text) for row in rows] == [
        ("", "[+] Building 12.3s (5/5)                                               1 cached"),
        ("run", " => [internal] load build definition from Dockerfile                       0.0s"),
        ("run", " => => transferring dockerfile: 154B                                       0.0s"),
        ("run", " => CACHED [api,docs base 1/1] FROM busybox                                0.0s"),
        ("error", " => ERROR [api build 1/2] RUN make                                        12.1s"),
        ("run", " => [docs site 1/1] RUN mkdocs                                             1.4s"),
        ("cancel", " => CANCELED [api build 2/2] COPY a b                                      0.0s"),
    ]


def test_a_build_that_went_well_is_finished_though_hits_made_steps_unnecessary() -> None:
    model = after([known(1, "RUN a"), known(2, "RUN b", inputs=(1,)), cached(2, 0.1)])
    assert final(model, START + 0.1, Screen(80, 24))[0].text.startswith("[+] Building 0.0s (1/1) FINISHED")


def ten_thousand() -> Model:
    story: list[Event] = [known(n, f"[stage {n}] RUN step {n}") for n in range(10_000)]
    story += [cached(n, 0.0) for n in range(9_000)]
    story += [started(n, 1.0) for n in range(9_000, 9_100)]
    story += [said(n, 1.5, b"line 1\nline 2\n") for n in range(9_000, 9_100)]
    story += [done(n, 2.0) for n in range(9_000, 9_050)]
    return after(story)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (20, 4), (10, 100)])
def test_any_screen_holds_ten_thousand_steps(width: int, height: int) -> None:
    rows = live(ten_thousand(), START + 3, Screen(width, height))
    assert len(rows) <= height - 1
    assert all(cell_len(row.text) < width for row in rows)


def test_more_running_steps_than_rows_are_counted() -> None:
    rows = picture(live(ten_thousand(), START + 3, Screen(80, 10)))
    assert rows[0].startswith("[+] Building 3.0s (9050/10000)")
    assert rows[-1] == " => ... and 43 more running"
    assert len(rows) == 9


def test_hits_are_folded() -> None:
    rows = picture(live(ten_thousand(), START + 3, Screen(80, 250)))
    assert rows[1].split() == ["=>", "CACHED", "9,000", "steps", "0.0s"]
    assert len(final(ten_thousand(), START + 3, Screen(80, 24))) == 1 + 1 + 100


def test_wide_characters_and_control_characters_do_not_break_the_columns() -> None:
    model = after(
        [known(1, "RUN 字字字字" * 20 + "\x1b[2J\n\tx"), started(1, 0), said(1, 0.5, "字\x1b[1A\tb".encode() * 90)]
    )
    rows = live(model, START + 1, Screen(80, 24))
    assert all(cell_len(row.text) <= 79 and row.text.isprintable() for row in rows)
    assert rows[1].text.endswith("1.0s")


def test_running_steps_share_the_screen_and_leave_room_for_what_ended() -> None:
    story: list[Event] = [known(n, f"RUN {n}") for n in range(9)]
    story += [event for n in range(5) for event in (started(n, 0), done(n, 1))]
    story += [event for n in range(5, 9) for event in (started(n, 0), said(n, 1, b"one\ntwo\nthree\nfour\nfive\n"))]
    rows = picture(live(after(story), START + 2, Screen(80, 18)))
    assert [" ".join(row.split()[1:-1]) for row in rows[1:5]] == ["RUN 1", "RUN 2", "RUN 3", "RUN 4"]
    logs = [row.removeprefix(" => => # ") for row in rows if " # " in row]
    assert logs == ["four", "five"] * 4

"""The page of a build: read as text, and opened in a real Chromium."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.build_story import START, cached, done, failing_build, known, said, started
from support.chromium import visit
from support.devtools import browser

from bakery.config.target import Project, Target
from bakery.history.comparison import compare
from bakery.history.record import RecordedBuild
from bakery.history.recorder import Recorder
from bakery.history.shelf import Shelf
from bakery.report.page import render
from bakery.report.timeline import LINES_EACH, timeline
from engine.errors import ExitError
from engine.events import Event, Warned
from engine.request import BuildResult, Outcome, TargetResult

Record = Callable[..., RecordedBuild]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    def play(events: Sequence[Event], seconds: float, *results: TargetResult) -> RecordedBuild:
        recorder = Recorder(tmp_path, keep=100)
        recorder._began = START
        names = [result.name for result in results]
        recorder.begin(Project({name: Target(name) for name in names}), ["bakery", "build"], {}, tmp_path)
        for event in events:
            recorder.listen(event)
        with monkeypatch.context() as patch:
            patch.setattr("bakery.history.recorder.time.time", lambda: START + seconds)
            recorder.finish(BuildResult({result.name: result for result in results}))
        return Shelf(tmp_path).open(recorder.id)

    return play


@pytest.fixture
def failed(record: Record) -> RecordedBuild:
    error = ExitError("make", 2)
    return record(
        failing_build(),
        13.0,
        TargetResult("api", Outcome.FAILED, error=error, steps=3, hits=1, seconds=12.2),
        TargetResult("docs", Outcome.SUCCEEDED, {"image.name": "docs:1,docs:latest"}, steps=2, hits=1, seconds=1.5),
    )


@pytest.fixture
def big(record: Record) -> RecordedBuild:
    """3,000 steps of 60 targets over a shared base, sixteen at a time."""
    events: list[Event] = [known(0, "[base 1/1] FROM busybox", *(f"app-{n}" for n in range(60))), cached(0, 0)]
    for n in range(1, 3001):
        owner, at = f"app-{(n - 1) // 50}", n // 16
        step = f"[build {n % 50}/50] RUN make -C part-{n} && echo a rather long command line that goes on and on"
        events.append(known(n, step, owner, inputs=(n - 1 if (n - 1) % 50 else 0,)))
        if n % 3:
            events += [cached(n, 0.1)]
        else:
            events += [started(n, at), said(n, at + 0.5, b"some output\n" * 20), done(n, at + 0.9)]
    results = [TargetResult(f"app-{n}", Outcome.SUCCEEDED, steps=51, hits=35, seconds=3.0 * n) for n in range(60)]
    return record(events, 190.0, *results)


def embedded(page: str) -> Any:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert match
    return json.loads(match[1])


def test_everything_is_in_the_one_file(failed: RecordedBuild) -> None:
    page = render(failed)
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "default-src 'none'" in page
    data = embedded(page)
    make = next(v for v in data["vertices"] if v["name"].endswith("RUN make"))
    assert make["state"] == "failed"
    assert make["critical"]
    assert make["at"] == [[0.1, 12.2]]
    assert [line.split()[1:] for line in data["logs"][str(make["n"])]] == [
        ["cc", "-c", "main.c"],
        ["cc", "-c", "util.c"],
    ]


def test_what_a_build_says_is_never_markup(record: Record) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    events = [
        known(1, f"RUN {evil}", "app"),
        started(1, 0),
        said(1, 0, evil.encode() + b"\n"),
        Warned(known(1, "").digest, evil),
        done(1, 1),
    ]
    page = render(record(events, 1.0, TargetResult("app", Outcome.SUCCEEDED, {"image.name": evil})))
    assert "<img" not in page
    assert page.count("<script") == 2
    assert evil in embedded(page)["vertices"][0]["name"]


def test_a_long_log_is_cut_but_not_of_what_failed(record: Record) -> None:
    lines = b"".join(b"%d\n" % n for n in range(2 * LINES_EACH))
    build = record(
        [known(1, "RUN a", "app"), started(1, 0), said(1, 0, lines), done(1, 1)],
        1.0,
        TargetResult("app", Outcome.CACHED),
    )
    logs = timeline(build, [])["logs"][0]
    assert logs[0] == f"… {LINES_EACH} lines before"
    assert logs[-1].split()[1] == str(2 * LINES_EACH - 1)


def test_the_build_before_is_compared_with(failed: RecordedBuild, record: Record) -> None:
    again = record(
        [known(3, "[build 1/2] RUN make", "api"), started(3, 0), done(3, 30)],
        31.0,
        TargetResult("api", Outcome.SUCCEEDED),
    )
    page = render(again, compare(failed, again))
    row = re.search(r"RUN make<td>api\s+<td>failed<td>ran\s+<td[^>]*>\+17\.9", page)
    assert row


@pytest.mark.slow
def test_chromium_shows_a_build_without_a_complaint(failed: RecordedBuild, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(failed), encoding="utf-8")
    script = """
        const click = (selector) => document.querySelector(selector).click();
        click("#hits"); click("#in"); click("#out"); click("#fit"); click("#close"); click("#open"); click("#only");
        click("#only"); click("th.number"); click("[data-vertex='2']");
        console.log("bars " + document.querySelectorAll(".bar").length);
        console.log("detail " + document.querySelector("#detail pre").textContent);
        const find = document.querySelector("#find");
        find.value = "mkdocs"; find.dispatchEvent(new Event("input"));
        console.log("found " + document.querySelectorAll(".row.step").length);
    """
    dom, messages = visit(page, tmp_path / "profile", script=script)
    assert messages[0] == "bars 5"
    assert messages[1].startswith('detail process "/bin/sh -c make" did not complete')
    assert messages[2:] == ["found 1"]
    assert 'class="bar ran"' in dom


@pytest.mark.slow
def test_chromium_shows_three_thousand_steps(big: RecordedBuild, tmp_path: Path) -> None:
    text = render(big)
    assert len(text) < 4_000_000
    page = tmp_path / "report.html"
    page.write_text(text, encoding="utf-8")
    script = """
        console.log("rows " + document.querySelectorAll(".row").length);
        document.querySelector("#hits").click();
        document.querySelector("#open").click();
        console.log("steps " + document.querySelectorAll(".row.step").length);
    """
    _, messages = visit(page, tmp_path / "profile", script=script)
    assert messages == ["rows 62", "steps 3001"]


@pytest.mark.slow
def test_a_report_is_looked_through_by_hand(failed: RecordedBuild, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(failed), encoding="utf-8")
    with browser(tmp_path / "profile") as seen:
        seen.open(page)
        rows = "[...document.querySelectorAll('.row.step')].length"
        detail = "document.querySelector('#detail').hidden ? '' : document.querySelector('#detail h3').textContent"

        seen.click("#errors .link")
        assert seen.value(detail) == "[build 1/2] RUN make"
        seen.click("#detail .shut")
        assert seen.value(detail) == ""

        before = seen.value(rows)
        seen.click("#hits")
        assert seen.value(rows) > before
        seen.click("#find")
        seen.write("mkdocs")
        assert seen.value(rows) == 1
        seen.click(".row.step .bar")
        assert "mkdocs" in seen.value(detail)

        wide = "document.querySelector('.sheet').clientWidth"
        narrow = seen.value(wide)
        x, y = seen.middle(".row.step")
        seen.wheel(x, y, -100, control=True)
        assert seen.value(wide) > narrow * 1.1
        seen.click("#fit")
        assert seen.value(wide) == narrow

        seen.click("#log-list summary")
        assert "cc -c main.c" in seen.until("document.querySelector('#log-list details[open] pre')?.textContent")

        names = "[...document.querySelectorAll('#targets tbody .link')].map((each) => each.textContent).join()"
        assert seen.value(names) == "api,docs"
        seen.click("#targets th")
        assert seen.value(names) == "docs,api", "the last of the alphabet first"

        seen.dark()
        assert seen.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
        seen.dark("print")
        assert seen.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert seen.printed().startswith(b"%PDF-")
        assert (seen.complaints, seen.asked) == ([], [page.as_uri()])


@pytest.mark.slow
def test_three_thousand_steps_are_found_and_scrolled_through(big: RecordedBuild, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(big), encoding="utf-8")
    with browser(tmp_path / "profile") as seen:
        seen.open(page)
        seen.click("#hits")
        seen.click("#open")
        x, y = seen.middle("#chart")
        seen.wheel(x, y, 2000)
        seen.click("#find")
        seen.write("part-2999")
        assert (
            seen.value(
                "[...document.querySelectorAll('.row.step .label')].map((each) => each.textContent).join()"
            ).count("part-2999")
            == 1
        )
        seen.click(".row.step .label")
        assert "part-2999" in seen.value("document.querySelector('#detail h3').textContent")
        assert (seen.complaints, seen.asked) == ([], [page.as_uri()])

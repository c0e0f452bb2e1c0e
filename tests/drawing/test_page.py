"""The page of a graph in a real Chromium, by mouse, wheel and keys."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from support.devtools import Browser, browser

from bakery.drawing.drawing import Drawing, Node
from bakery.drawing.page import as_page

pytestmark = pytest.mark.slow
WHOLE = """(() => {
    const drawn = view.getBoundingClientRect(), room = canvas.getBoundingClientRect();
    return drawn.left >= room.left - 1 && drawn.right <= room.right + 1
        && drawn.top >= room.top - 1 && drawn.bottom <= room.bottom + 1;
})()"""
"""Whether all of the drawing is on the screen."""


def chain(targets: int, steps: int) -> Drawing:
    """Targets with a chain of steps each, all of them on one base."""
    names = [f"app-{n}" for n in range(targets)]
    nodes = {"base": Node("base", "FROM busybox", "source", tuple(names))}
    graph: nx.DiGraph[str] = nx.DiGraph()
    for name in names:
        before = "base"
        for at in range(steps):
            id_ = f"{name} {at}"
            nodes[id_] = Node(id_, f"[build {at + 1}/{steps}] RUN make -C {name} part-{at}", "step", (name,), "ran")
            graph.add_edge(before, id_, kind="needs", label="")
            before = id_
        nodes[name] = Node(name, name, "target")
        graph.add_edge(before, name, kind="needs", label="")
    return Drawing("steps", nodes, graph)


def shown(seen: Browser, drawing: Drawing, folder: Path) -> Path:
    page = folder / "graph.html"
    page.write_text(as_page(drawing), encoding="utf-8")
    seen.open(page)
    return page


def quiet(seen: Browser, page: Path) -> None:
    assert seen.complaints == []
    assert seen.asked == [page.as_uri()], "a page needs nothing but itself"


def test_a_graph_is_looked_around_in_by_hand(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as seen:
        page = shown(seen, chain(2, 3), tmp_path)
        node = "document.querySelector('#detail h2').textContent"
        seen.click(".node[data-n='2']")
        assert seen.value(node) == "[build 2/3] RUN make -C app-0 part-1"
        assert seen.value("document.querySelectorAll('.node.on').length") == 5, "what it needs and what needs it"
        seen.click("#detail li button")
        assert seen.value(node) == "[build 1/3] RUN make -C app-0 part-0"

        left, top, scale = seen.value("[left, top_, scale]")
        seen.drag(30, 300, 130, 340)
        assert seen.value("[left, top_, scale]") == [left + 100, top + 40, scale]
        assert seen.value("detail.hidden") is False, "to move is not to choose"
        seen.wheel(500, 300, -400)
        assert seen.value("scale") == pytest.approx(min(8, scale * 2.71828), rel=0.01)
        seen.click("#fit")
        assert seen.value(WHOLE)

        seen.key("Escape")
        assert seen.value("detail.hidden") is True
        seen.write("/app-1 part-2")
        assert seen.value("[find.value, found.textContent]") == ["app-1 part-2", "1 of 9"]
        seen.key("Enter")
        x, _ = seen.middle(".node.on")
        assert x == pytest.approx(seen.value("canvas.getBoundingClientRect().x + canvas.clientWidth / 2"), abs=2)
        quiet(seen, page)


def test_a_box_that_is_clicked_stays_in_sight(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as seen:
        page = shown(seen, chain(1, 3), tmp_path)
        seen.drag(30, 500, 500, 500)
        seen.click(".node[data-n='2']")
        seen.middle(".node[data-n='2']")
        assert seen.value("document.querySelector('#detail h2').textContent") == "[build 2/3] RUN make -C app-0 part-1"
        quiet(seen, page)


def test_three_thousand_steps_of_two_hundred_targets_can_be_read(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as seen:
        page = shown(seen, chain(200, 15), tmp_path)
        assert seen.value("document.querySelectorAll('.node').length") == 3201
        assert seen.value("canvas.classList.contains('far')") is False
        assert seen.middle(".node[data-n='0']")[0] < 200, "it begins with the base of all"
        seen.click("#find")
        seen.write("app-199 part-14")
        seen.key("Enter")
        box = seen.value("(r => [r.width, r.height])(document.querySelector('.node.on').getBoundingClientRect())")
        assert seen.value("found.textContent") == "1 of 3201"
        assert box[1] >= 12, "a text of it can be read"
        seen.click(".node.on")
        assert "app-199 part-14" in seen.value("document.querySelector('#detail h2').textContent")
        seen.click("#fit")
        assert seen.value(WHOLE)
        quiet(seen, page)


def test_a_graph_is_printed_whole_and_light(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as seen:
        page = shown(seen, chain(2, 3), tmp_path)
        seen.dark()
        assert seen.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
        seen.wheel(500, 300, -1000)
        before = seen.value("view.getAttribute('transform')")
        assert seen.printed().startswith(b"%PDF-")
        assert seen.value("[canvas.hasAttribute('viewBox'), view.getAttribute('transform')]") == [False, before]
        seen.dark("print")
        assert seen.value("getComputedStyle(document.querySelector('header')).display") == "none"
        assert seen.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        quiet(seen, page)

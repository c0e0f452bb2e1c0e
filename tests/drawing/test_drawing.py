"""What is drawn of targets and steps, in each form it is written in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest
from support.build_story import START, digest, done, failed, known, started
from support.chromium import DARK, visit

from bakery import config
from bakery.config.request import LoadRequest
from bakery.config.target import Project, Target
from bakery.diagnostics import BakeryError
from bakery.drawing.data import as_data, as_json
from bakery.drawing.dot import as_dot
from bakery.drawing.drawing import Drawing, Node
from bakery.drawing.mermaid import as_mermaid
from bakery.drawing.outcomes import last_build, with_outcomes
from bakery.drawing.page import as_page
from bakery.drawing.steps import draw_vertices
from bakery.drawing.svg import as_svg
from bakery.drawing.targets import draw_targets
from bakery.history.record import RecordedBuild
from bakery.history.recorder import Recorder
from bakery.history.shelf import Shelf
from engine.llb.definition import Edge, Note, Vertex
from engine.llb.ops import ExecOp, Meta, SourceOp
from engine.request import BuildResult, Outcome, TargetResult

BAKE = """
group "default" { targets = ["apps", "docs"] }
group "apps" { targets = ["api", "web"] }
target "base" {}
target "api" { contexts = { base = "target:base" } }
target "web" { contexts = { from = "target:base" } }
target "docs" {}
"""
EVIL = '</script><img src=x onerror=alert(1)> "&\\ \x1b[31m \x00 `x`'


@pytest.fixture
def targets(tmp_path: Path) -> Drawing:
    (tmp_path / "docker-bake.hcl").write_text(BAKE)
    return draw_targets(config.load(LoadRequest(cwd=tmp_path)))


def drawn(*edges: tuple[str, str], **nodes: Node) -> Drawing:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges, kind="needs", label="")
    return Drawing("steps", nodes, graph)


@pytest.fixture
def steps() -> Drawing:
    """Two targets over a base, named as in `record`."""
    names = {1: ("FROM busybox", ("api", "web")), 2: ("RUN make", ("api",)), 3: ("RUN npm ci", ("web",))}
    nodes = {digest(n): Node(digest(n), text, "step", owners) for n, (text, owners) in names.items()}
    nodes |= {f"target {name}": Node(f"target {name}", name, "target") for name in ("api", "web")}
    edges = [(1, 2), (1, 3)]
    made = drawn(*[(str(digest(a)), str(digest(b))) for a, b in edges], **nodes)  # type: ignore[arg-type]
    made.graph.add_edges_from([(digest(2), "target api"), (digest(3), "target web")], kind="needs", label="")
    return made


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedBuild:
    recorder = Recorder(tmp_path / "root", keep=10)
    recorder._began = START
    recorder.begin(Project({"api": Target("api"), "web": Target("web")}), ["bakery"], {}, tmp_path)
    for event in [
        known(1, "FROM busybox", "api", "web"),
        known(2, "RUN make", "api", inputs=(1,)),
        known(3, "RUN npm ci", "web", inputs=(1,)),
        started(1, 0),
        done(1, 1),
        started(2, 1),
        started(3, 1),
        failed(3, 2, "exit code: 1"),
        done(2, 9),
    ]:
        recorder.listen(event)
    monkeypatch.setattr("bakery.history.recorder.time.time", lambda: START + 9)
    recorder.finish(
        BuildResult(
            {
                "api": TargetResult("api", Outcome.SUCCEEDED, steps=2, hits=0, seconds=9.0),
                "web": TargetResult("web", Outcome.FAILED, seconds=2.0),
            }
        )
    )
    return Shelf(tmp_path / "root").open("last")


def test_targets_have_their_links_and_groups(targets: Drawing) -> None:
    assert {(a, b, d["kind"], d["label"]) for a, b, d in targets.graph.edges(data=True)} == {
        ("base", "api", "needs", "base"),
        ("base", "web", "needs", "from"),
        ("api", "group apps", "member", ""),
        ("web", "group apps", "member", ""),
        ("docs", "group default", "member", ""),
        ("group apps", "group default", "member", ""),
    }
    assert targets.nodes["base"].owners == ("api", "web")
    assert not targets.nodes["base"].asked
    assert targets.nodes["api"].asked
    assert targets.nodes["api"].details["declared at"] == "docker-bake.hcl:5"


def test_a_circle_is_an_error_and_no_picture() -> None:
    a = Target("a", contexts={"b": "target:b"})
    b = Target("b", contexts={"a": "target:a"})
    with pytest.raises(BakeryError, match="in a circle: .*a → b"):
        draw_targets(Project({"a": a, "b": b}))


def test_a_step_that_two_targets_need_is_drawn_once() -> None:
    source = Vertex.make(SourceOp("docker-image://busybox"), note=Note("FROM busybox"))
    run = Vertex.make(ExecOp(meta=Meta(args=("make",))), [Edge(source.digest)], note=Note("RUN make", "RUN make"))
    found = draw_vertices(
        {v.digest: v for v in (source, run)}, {"api": [Edge(run.digest)], "base": [Edge(source.digest)]}
    )
    assert found.nodes[source.digest].owners == ("api", "base")
    assert found.nodes[source.digest].kind == "source"
    assert found.nodes[run.digest].owners == ("api",)
    assert {*found.graph.edges} == {
        (source.digest, run.digest),
        (run.digest, "target api"),
        (source.digest, "target base"),
    }


def test_a_recorded_build_gives_states_and_the_critical_path(steps: Drawing, build: RecordedBuild) -> None:
    found = with_outcomes(steps, build)
    assert {node.label: node.state for node in found.nodes.values()} == {
        "FROM busybox": "ran",
        "RUN make": "ran",
        "RUN npm ci": "failed",
        "api": "ran",
        "web": "failed",
    }
    assert [node.label for node in found.nodes.values() if node.critical] == ["FROM busybox", "RUN make", "api"]
    assert found.path == {(digest(1), digest(2)), (digest(2), "target api")}
    assert found.nodes[digest(3)].details["error"] == "exit code: 1"


def test_the_build_is_the_last_of_the_folder_with_one_of_the_targets(
    steps: Drawing, build: RecordedBuild, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "root")
    other = drawn(other=Node("other", "other", "target"))
    found = last_build(shelf, tmp_path, steps)
    assert found
    assert found.id == build.id
    assert last_build(shelf, tmp_path / "elsewhere", steps) is None
    assert last_build(shelf, tmp_path, other) is None


def test_dot(steps: Drawing, build: RecordedBuild) -> None:
    lines = as_dot(with_outcomes(steps, build)).splitlines()
    assert lines[0] == 'digraph "steps" {'
    assert lines[3].startswith('  n0 [label="FROM busybox" shape=box style=filled fillcolor="#2f6fad"')
    assert 'peripheries=2 tooltip="shared by api, web"' in lines[3]
    assert '  n0 -> n1 [color="#d9480f" penwidth=3]' in lines
    assert "  n0 -> n2" in lines
    assert lines[-1] == "}"


def test_mermaid(targets: Drawing) -> None:
    assert as_mermaid(targets).startswith("flowchart LR\n")
    lines = as_mermaid(targets).splitlines()
    assert '  n3(["base ×2"])' in lines or any('(["base ×2"])' in line for line in lines)
    assert any(re.fullmatch(r'  n\d -->\|"from"\| n\d', line) for line in lines)
    assert sum("-.->" in line for line in lines) == 4


def test_json_says_what_is_critical_and_shared(steps: Drawing, build: RecordedBuild) -> None:
    found = json.loads(as_json(with_outcomes(steps, build)))
    assert found["build"] == build.id
    assert found["nodes"][0] == {
        "id": digest(1),
        "label": "FROM busybox",
        "kind": "step",
        "state": "ran",
        "critical": True,
        "seconds": 1.0,
        "sharedBy": ["api", "web"],
    }
    assert found["edges"][0] == {"from": digest(1), "to": digest(2), "kind": "needs", "critical": True}


def test_svg_is_xml_with_a_box_for_each_node(steps: Drawing, build: RecordedBuild) -> None:
    root = ElementTree.fromstring(as_svg(with_outcomes(steps, build)))
    name = "{http://www.w3.org/2000/svg}"
    boxes = [g for g in root.iter(f"{name}g") if g.get("class") == "node"]
    assert len(boxes) == 5
    assert len(boxes[0].findall(f"{name}rect")) == 2  # a second sheet: shared
    assert len(boxes[1].findall(f"{name}rect")) == 1
    texts = [text.text for text in root.iter(f"{name}text")]
    assert {"critical path", "failed", "×2", "×N: shared by N targets"} <= {*texts}


def test_what_a_step_is_called_is_never_markup() -> None:
    made = drawn(x=Node("x", EVIL, "step", ("a", EVIL), details={"instruction": EVIL}))
    page = as_page(made)
    assert "<img" not in page
    assert page.count("<script") == 2
    assert ElementTree.fromstring(as_svg(made)) is not None
    assert as_data(made)["nodes"][0]["label"] == EVIL
    line = next(line for line in as_dot(made).splitlines() if "n0 [" in line)
    assert '\\"&\\\\ ' in line
    assert "\x1b" not in line
    assert "<img" not in as_mermaid(made)


def test_nothing_comes_from_elsewhere(targets: Drawing) -> None:
    page = as_page(targets)
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)


@pytest.mark.slow
def test_chromium_shows_a_graph_without_a_complaint(steps: Drawing, build: RecordedBuild, tmp_path: Path) -> None:
    page = tmp_path / "graph.html"
    page.write_text(as_page(with_outcomes(steps, build)))
    script = """
        const say = (...words) => console.log(words.join(" "));
        const on = () => [...document.querySelectorAll(".node.on")].map((box) => nodes[box.dataset.n].label).join(",");
        const click = (target) => {
            for (const type of ["pointerdown", "pointerup"])
                target.dispatchEvent(new PointerEvent(type, { bubbles: true }));
        };
        say("boxes", document.querySelectorAll(".node").length, "lines", lines.length);
        click(document.querySelector(".node[data-n='1']"));
        say("chosen", on(), document.querySelector("#detail h2").textContent);
        document.querySelector("#detail li button").click();
        say("then", document.querySelector("#detail h2").textContent);
        document.querySelector("#close").click();
        find.value = "npm"; find.dispatchEvent(new Event("input"));
        say("found", on(), found.textContent);
        find.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
        find.value = "";
        document.querySelector("[data-state=shared]").click();
        say("shared", on());
        document.querySelector("[data-state=critical]").click();
        say("critical", on());
        const before = scale;
        document.querySelector("#in").click();
        canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -100, cancelable: true }));
        say("zoomed", scale > before * 1.4);
        const at = left;
        canvas.dispatchEvent(new PointerEvent("pointerdown", { clientX: 10, clientY: 10, bubbles: true }));
        window.dispatchEvent(new PointerEvent("pointermove", { clientX: 60, clientY: 10 }));
        window.dispatchEvent(new PointerEvent("pointerup"));
        say("moved", left - at);
        document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
        document.querySelector("#fit").click();
    """
    _, messages = visit(page, tmp_path / "profile", script=script)
    assert messages == [
        "boxes 5 lines 4",
        "chosen FROM busybox,RUN make,api RUN make",
        "then FROM busybox",
        "found RUN npm ci 1 of 5",
        "shared FROM busybox",
        "critical FROM busybox,RUN make,api",
        "zoomed true",
        "moved 50",
    ]


@pytest.mark.slow
def test_chromium_shows_three_thousand_steps(tmp_path: Path) -> None:
    nodes = {"base": Node("base", "FROM busybox", "source", tuple(f"app-{n}" for n in range(60)))}
    edges = []
    for n in range(1, 3001):
        owner, before = f"app-{(n - 1) // 50}", str(n - 1) if (n - 1) % 50 else "base"
        nodes[str(n)] = Node(str(n), f"[build {n % 50}/50] RUN make -C part-{n}", "step", (owner,), "ran")
        edges.append((before, str(n)))
    text = as_page(drawn(*edges, **nodes))
    assert len(text) < 4_000_000
    page = tmp_path / "graph.html"
    page.write_text(text)
    script = """
        console.log("boxes " + document.querySelectorAll(".node").length);
        console.log("readable from the beginning " + !canvas.classList.contains("far"));
        document.querySelector("#fit").click();
        console.log("all of it far away " + canvas.classList.contains("far"));
        find.value = "part-1999"; find.dispatchEvent(new Event("input"));
        find.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
        console.log(found.textContent + ", texts " + !canvas.classList.contains("far"));
    """
    _, messages = visit(page, tmp_path / "profile", script=script)
    assert messages == [
        "boxes 3001",
        "readable from the beginning true",
        "all of it far away true",
        "1 of 3001, texts true",
    ]


@pytest.mark.slow
def test_on_a_dark_screen_the_page_is_dark(steps: Drawing, tmp_path: Path) -> None:
    """All but the boxes whose colours tell a state."""
    page = tmp_path / "graph.html"
    page.write_text(as_page(steps))
    script = """
        const style = (one) => getComputedStyle(document.querySelector(one));
        const light = (colour) => Math.min(...colour.match(/\\d+/g).slice(0, 3).map(Number)) > 128;
        console.log(["body", "button", "input"].map((one) => light(style(one).backgroundColor)).join());
        console.log(light(style("body").color) + " " + light(style("button").color));
        const pale = [...document.querySelectorAll(".pale rect")].map((box) => light(getComputedStyle(box).fill));
        console.log(pale.length + " pale boxes, light " + pale.filter(Boolean).length);
    """
    _, messages = visit(page, tmp_path / "profile", script=script, options=[DARK])
    assert messages == ["false,false,false", "true true", "6 pale boxes, light 0"]
    _, messages = visit(page, tmp_path / "other", script=script)
    assert messages == ["true,true,true", "false false", "6 pale boxes, light 6"]

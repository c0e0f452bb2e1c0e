import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from support.build_story import cached, cancelled, digest, done, failing_build, known, moved, play, said, started

from bakery.console.rawjson import RawJsonView
from engine.events import VertexKnown, Warned
from engine.llb.definition import Place
from engine.llb.ops import Position, ProgressGroup, Range, SourceInfo

ONE, TWO = digest(1), digest(2)


def records(*events: Any) -> list[Any]:
    return [json.loads(line) for line in play(RawJsonView(), events).splitlines()]


def fields(value: Any, path: str = "") -> dict[str, str]:
    """The type of every field there is, by its way from the top."""
    if isinstance(value, dict):
        return {found: kind for key, inner in value.items() for found, kind in fields(inner, f"{path}.{key}").items()}
    if isinstance(value, list):
        return {found: kind for inner in value for found, kind in fields(inner, f"{path}[]").items()}
    return {path: type(value).__name__}


def test_every_field_is_one_that_the_peer_writes() -> None:
    """The file has a record of each shape from `buildx bake --progress=rawjson` (buildx 0.36, two targets).

    A `progressGroup`, and characters of a range, occur in BuildKit's types and not in this build.
    """
    recorded = json.loads((Path(__file__).parent.parent / "data/rawjson.json").read_text())
    known_fields = {found: kind for one in recorded for found, kind in fields(one).items()}
    source = SourceInfo("Dockerfile", b"FROM a", "Dockerfile")
    warned = Warned(
        ONE, "short", ("long",), "https://example.com", 1, (Place(source, (Range(Position(1), Position(1)),)),)
    )
    ours = records(*failing_build(), moved(1, 2.0, "sha256:ab", 3, 7, 1.0, over=True), warned, cached(1, 1))
    found = {found: kind for one in ours for found, kind in fields(one).items() if ".progressGroup" not in found}
    assert {name: kind for name, kind in found.items() if known_fields.get(name) != kind} == {}
    # What the peer always writes is there, and of what it writes sometimes all but the name of a status.
    assert known_fields.keys() - found.keys() <= {".statuses[].name"}


def test_with_several_targets_names_say_whose_a_step_is() -> None:
    def name(*targets: str) -> str:
        events = [VertexKnown(ONE, "[1/2] RUN a", targets=targets)]
        (vertex,) = json.loads(play(RawJsonView(("a", "b", "c")), events))["vertexes"]
        return str(vertex["name"])

    assert [name(), name("a"), name("a", "b"), name("a", "b", "c")] == [
        "[1/2] RUN a",
        "[a 1/2] RUN a",
        "[a,b 1/2] RUN a",
        "[a+2 1/2] RUN a",
    ]


def test_every_event_is_one_line_of_json() -> None:
    assert len(records(*failing_build())) == len(failing_build())


def test_a_vertex_is_told_when_it_is_known_started_and_completed() -> None:
    base = {"digest": TWO, "inputs": [ONE], "name": "RUN a"}
    start, end = "2023-11-14T22:13:20.5Z", "2023-11-14T22:13:22Z"
    assert records(known(2, "RUN a", inputs=(1,)), started(2, 0.5), done(2, 2)) == [
        {"vertexes": [base]},
        {"vertexes": [{**base, "started": start}]},
        {"vertexes": [{**base, "started": start, "completed": end}]},
    ]


def test_a_hit_has_both_times_and_a_cancelled_vertex_the_error_that_readers_know() -> None:
    _, _, hit, _, stopped = records(known(1, "a"), known(2, "b"), cached(1, 1), started(2, 1), cancelled(2, 2))
    time = "2023-11-14T22:13:21Z"
    assert hit == {"vertexes": [{"digest": ONE, "name": "a", "started": time, "completed": time, "cached": True}]}
    assert stopped["vertexes"][0]["error"] == "context canceled"


def test_a_second_run_has_its_own_start() -> None:
    last = records(known(1, "a"), started(1, 0), done(1, 1), started(1, 2), done(1, 3))[-1]["vertexes"][0]
    assert (last["started"], last["completed"]) == ("2023-11-14T22:13:22Z", "2023-11-14T22:13:23Z")


def test_logs_are_base64_of_any_bytes() -> None:
    (log,) = records(said(1, 0.25, b"\xff\x00\n"))[0]["logs"]
    assert b64decode(log.pop("data")) == b"\xff\x00\n"
    assert log == {"vertex": ONE, "stream": 1, "timestamp": "2023-11-14T22:13:20.25Z"}


def test_transfers_groups_and_warnings_have_the_peers_fields() -> None:
    source = SourceInfo("Dockerfile", b"FROM a", "Dockerfile")
    place = Place(source, (Range(Position(1, 0), Position(1, 6)),))
    status, group, warning = records(
        moved(1, 2.0, "sha256:ab", 3, 7, 1.0, over=True),
        VertexKnown(TWO, "b", (), ProgressGroup("g", "COPY", True)),
        Warned(ONE, "short", ("long",), "https://example.com", 1, (place,)),
    )
    assert status == {
        "statuses": [
            {
                "id": "sha256:ab",
                "vertex": ONE,
                "total": 7,
                "current": 3,
                "timestamp": "2023-11-14T22:13:22Z",
                "started": "2023-11-14T22:13:21Z",
                "completed": "2023-11-14T22:13:22Z",
            }
        ]
    }
    assert group["vertexes"][0]["progressGroup"] == {"id": "g", "name": "COPY", "weak": True}
    assert warning == {
        "warnings": [
            {
                "vertex": ONE,
                "level": 1,
                "short": "c2hvcnQ=",
                "detail": ["bG9uZw=="],
                "url": "https://example.com",
                "sourceInfo": {"filename": "Dockerfile", "data": "RlJPTSBh", "language": "Dockerfile"},
                "range": [{"start": {"line": 1}, "end": {"line": 1, "character": 6}}],
            }
        ]
    }

"""The trace of a build, taken by a server that looks at it as a collector would."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.build_story import failing_build

from bakery.cli.traces import destination, parent_of, send_trace
from bakery.config.target import Project, Target
from bakery.history.record import RecordedBuild
from bakery.history.recorder import Recorder
from bakery.history.shelf import Shelf
from engine.request import BuildResult, Outcome, TargetResult

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.taken.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(200 if self.path.endswith("/v1/traces") else 404)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def build(tmp_path: Path) -> RecordedBuild:
    recorder = Recorder(tmp_path, keep=100)
    recorder.begin(Project({"api": Target("api"), "docs": Target("docs")}), ["bakery"], {}, tmp_path)
    for event in failing_build():
        recorder.listen(event)
    failed = TargetResult("api", Outcome.FAILED, error=ValueError("no"), steps=3, hits=1)
    recorder.finish(BuildResult({"api": failed, "docs": TargetResult("docs", Outcome.SUCCEEDED, steps=2, hits=1)}))
    return Shelf(tmp_path).open(recorder.id)


def spans(body: bytes) -> dict[str, dict[str, Any]]:
    (resource,) = json.loads(body)["resourceSpans"]
    return {span["name"]: span for span in resource["scopeSpans"][0]["spans"]}


def test_a_build_is_a_span_with_targets_and_steps_below_it(build: RecordedBuild, collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address + "/", "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}
    env["TRACESTATE"] = "vendor=x"
    assert send_trace(build, env) == ""
    ((path, headers, body),) = collector.taken
    assert (path, headers["content-type"]) == ("/v1/traces", "application/json")
    found = spans(body)
    root, api, make = found["bakery build"], found["target api"], found["[build 1/2] RUN make"]
    assert {(span["traceId"], span["traceState"]) for span in found.values()} == {(TRACE, "vendor=x")}
    assert (root["parentSpanId"], api["parentSpanId"], make["parentSpanId"]) == (SPAN, root["spanId"], api["spanId"])
    assert int(make["endTimeUnixNano"]) - int(make["startTimeUnixNano"]) == 12_100_000_000
    assert make["status"]["code"] == 2
    assert "status" not in found["target docs"]
    assert "[base 1/1] FROM busybox" not in found


def test_the_usual_variables_are_obeyed(build: RecordedBuild, collector: Collector) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.address + "/own/v1/traces",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x,a=b",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "images",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=ci",
    }
    assert send_trace(build, env) == ""
    ((path, headers, body),) = collector.taken
    assert (path, headers["authorization"], headers["a"]) == ("/own/v1/traces", "Bearer x", "b")
    attributes = json.loads(gzip.decompress(body))["resourceSpans"][0]["resource"]["attributes"]
    assert {a["key"]: a["value"]["stringValue"] for a in attributes if "version" not in a["key"]} == {
        "deployment.environment": "ci",
        "service.name": "images",
    }


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"},
    ],
)
def test_nothing_is_sent_where_nobody_wants_it(env: dict[str, str], build: RecordedBuild, collector: Collector) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address} if env else {}
    assert send_trace(build, endpoint | env) == ""
    assert not collector.taken


def test_a_collector_that_does_not_answer_is_a_warning(build: RecordedBuild, collector: Collector) -> None:
    for env, words in [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "Connection refused"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.address + "/x"}, "Not Found"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "file:///etc"}, "no HTTP address"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
    ]:
        assert words in send_trace(build, env)


def test_a_parent_that_is_none_is_no_parent() -> None:
    assert parent_of({"TRACEPARENT": "nonsense"}) == (None, True)
    assert destination({"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}) is None

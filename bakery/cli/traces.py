"""Traces of builds, sent where OpenTelemetry's usual variables say.

OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT, _HEADERS, _TIMEOUT, _COMPRESSION, _PROTOCOL and _CERTIFICATE, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER; TRACEPARENT and TRACESTATE name the span that
a build belongs to.
Sent over HTTP as JSON, which every collector takes beside protobuf; no other package is needed for that.
See opentelemetry.io, "OTLP Exporter Configuration" and "Environment Variables as Context Propagation Carriers".
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bakery.history.otlp import Parent, as_otlp
from bakery.values import frozen
from bakery.version import VERSION

if TYPE_CHECKING:
    from bakery.history.record import RecordedBuild

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1
PATIENCE = 10_000
"""Milliseconds, where nothing else is set: what the specification says."""


@frozen
class Destination:
    """Where traces go: a URL, headers, seconds to wait."""

    url: str
    headers: Mapping[str, str]
    timeout: float
    compressed: bool = False
    certificate: str = ""


def destination(env: Mapping[str, str]) -> Destination | None:
    """Where an environment has traces sent; None if nowhere."""
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    url = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or (f"{base.rstrip('/')}/v1/traces" if base else "")
    if not url:
        return None
    timeout = _of(env, "TIMEOUT")
    return Destination(
        url,
        _pairs(_of(env, "HEADERS")),
        (int(timeout) if timeout.isdecimal() else PATIENCE) / 1000,
        _of(env, "COMPRESSION") == "gzip",
        _of(env, "CERTIFICATE"),
    )


def parent_of(env: Mapping[str, str]) -> tuple[Parent | None, bool]:
    """The span that TRACEPARENT names, and whether its trace is one that is kept."""
    match = _PARENT.fullmatch(env.get("TRACEPARENT", ""))
    if match is None:
        return None, True
    return Parent(match[1], match[2], env.get("TRACESTATE", "")), bool(int(match[3], 16) & _SAMPLED)


def send_trace(build: RecordedBuild, env: Mapping[str, str]) -> str:
    """Sends the trace of a build if the environment asks for it; a word about what went wrong, or nothing."""
    where = destination(env)
    parent, sampled = parent_of(env)
    if where is None or not sampled:
        return ""
    if _of(env, "PROTOCOL") == "grpc":
        return (
            "OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not spoken here; give an HTTP endpoint and http/protobuf or http/json"
        )
    resource = _pairs(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    resource |= {"service.version": VERSION} | {"service.name": env.get("OTEL_SERVICE_NAME") or "bakery"}
    return _post(where, json.dumps(as_otlp(build, resource, parent)).encode())


def _post(where: Destination, body: bytes) -> str:
    import ssl
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    headers = {"content-type": "application/json", **where.headers}
    if where.compressed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    try:
        if not where.url.lower().startswith(("http://", "https://")):
            return f"traces: {where.url} is no HTTP address"
        context = ssl.create_default_context(cafile=where.certificate) if where.certificate else None
        with urlopen(Request(where.url, body, headers), timeout=where.timeout, context=context) as answer:
            answer.read()
    except (OSError, HTTPException, ValueError) as error:
        return f"traces: {where.url}: {getattr(error, 'reason', None) or error}"
    return ""


def _of(env: Mapping[str, str], name: str) -> str:
    return env.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or env.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _pairs(text: str) -> dict[str, str]:
    """`a=b,c=d`, percent-encoded, as in W3C Baggage."""
    found = (part.partition("=") for part in text.split(",") if "=" in part)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in found}

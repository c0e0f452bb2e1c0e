"""The types of what is read of a Compose file, checked after interpolation and merging; the rest may be anything.

Follows the JSON schema of the Compose specification for `image`, `build`, `environment` and `env_file` of services,
in long form, and for top-level secrets. Messages are those of the peer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from bakery.config.yaml_nodes import YamlNode
from bakery.diagnostics import Diagnostic, Span, did_you_mean

Check = Callable[[YamlNode, str], Iterator[Diagnostic]]
"""Yields what is wrong with a node at a path."""

_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def validate(services: Mapping[str, YamlNode], secrets: Mapping[str, YamlNode]) -> list[Diagnostic]:
    """Everything that has a wrong type or an unknown name."""
    found: list[Diagnostic] = []
    for section, nodes, check in (("services", services, _SERVICE), ("secrets", secrets, _SECRET)):
        for name, node in nodes.items():
            if _NAME.fullmatch(name):
                found.extend(check(node, f"{section}.{name}"))
            else:
                found.append(_not_allowed(section, name, node.span, ()))
    return found


def _not_allowed(path: str, key: str, span: Span, known: Iterable[str]) -> Diagnostic:
    near = did_you_mean(key, known)
    hint = f"did you mean `{near}`?" if near else ""
    return Diagnostic(f"{path} additional properties '{key}' not allowed", "", span, hint=hint)


def _kind(node: YamlNode) -> str:
    match node.value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "mapping"
        case _:
            return "array"


def _scalar(*kinds: str) -> Check:
    shown = kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"

    def check(node: YamlNode, path: str) -> Iterator[Diagnostic]:
        kind = _kind(node)
        if kind not in kinds and not (kind == "integer" and "number" in kinds):
            yield Diagnostic(f"{path} must be a {shown}", f"but have a {kind}", node.span)

    return check


def _list_of(item: Check) -> Check:
    def check(node: YamlNode, path: str) -> Iterator[Diagnostic]:
        if node.value is None:
            return
        if not node.is_list:
            yield Diagnostic(f"{path} must be a array", f"but have a {_kind(node)}", node.span)
            return
        for index, child in enumerate(node.value):
            yield from item(child, f"{path}.{index}")

    return check


def _map_of(item: Check) -> Check:
    def check(node: YamlNode, path: str) -> Iterator[Diagnostic]:
        if node.value is None:
            return
        if not node.is_map:
            yield Diagnostic(f"{path} must be a mapping", f"but have a {_kind(node)}", node.span)
            return
        for key, child in node.value.items():
            yield from item(child, f"{path}.{key}")

    return check


def _record(members: Mapping[str, Check], *, open_to_more: bool = False) -> Check:
    def check(node: YamlNode, path: str) -> Iterator[Diagnostic]:
        if not node.is_map:
            yield Diagnostic(f"{path} must be a mapping", f"but have a {_kind(node)}", node.span)
            return
        for key, child in node.value.items():
            if key in members:
                yield from members[key](child, f"{path}.{key}")
            elif not open_to_more and not key.startswith("x-"):
                yield _not_allowed(path, key, node.key_span(key), members)

    return check


def _either(scalar: Check, other: Check) -> Check:
    """Lists and maps are for `other`, anything else for `scalar`."""

    def check(node: YamlNode, path: str) -> Iterator[Diagnostic]:
        yield from (other if node.is_list or node.is_map else scalar)(node, path)

    return check


def _or_null(inner: Check) -> Check:
    def check(node: YamlNode, path: str) -> Iterator[Diagnostic]:
        if node.value is not None:
            yield from inner(node, path)

    return check


_TEXT = _scalar("string")
_TEXTS = _list_of(_TEXT)
_FLAG = _scalar("boolean", "string")
_NUMBER = _scalar("integer", "string")
_PAIRS = _map_of(_scalar("boolean", "null", "number", "string"))
_LIMITS = _record({"soft": _NUMBER, "hard": _NUMBER})

_MOUNT = _record(
    {"source": _TEXT, "target": _TEXT, "uid": _TEXT, "gid": _TEXT, "mode": _scalar("number", "string")},
)

BUILD: Mapping[str, Check] = {
    "additional_contexts": _PAIRS,
    "args": _PAIRS,
    "cache_from": _TEXTS,
    "cache_to": _TEXTS,
    "context": _TEXT,
    "dockerfile": _or_null(_TEXT),
    "dockerfile_inline": _or_null(_TEXT),
    "entitlements": _TEXTS,
    "extra_hosts": _map_of(_or_null(_either(_TEXT, _TEXTS))),
    "isolation": _or_null(_TEXT),
    "labels": _PAIRS,
    "network": _or_null(_TEXT),
    "no_cache": _or_null(_FLAG),
    "no_cache_filter": _or_null(_either(_TEXT, _TEXTS)),
    "platforms": _TEXTS,
    "privileged": _or_null(_FLAG),
    "provenance": _or_null(_FLAG),
    "pull": _or_null(_FLAG),
    "sbom": _or_null(_FLAG),
    "secrets": _list_of(_either(_TEXT, _MOUNT)),
    "shm_size": _or_null(_NUMBER),
    "ssh": _map_of(_or_null(_TEXT)),
    "tags": _TEXTS,
    "target": _or_null(_TEXT),
    "ulimits": _map_of(_either(_NUMBER, _LIMITS)),
}
"""The keys of a `build` section."""

_ENV_FILE = _record({"path": _TEXT, "format": _TEXT, "required": _FLAG})
_SERVICE = _record(
    {
        "image": _TEXT,
        "build": _record(BUILD),
        "environment": _PAIRS,
        "env_file": _list_of(_either(_TEXT, _ENV_FILE)),
    },
    open_to_more=True,
)

_SECRET = _record(
    {
        "name": _TEXT,
        "environment": _TEXT,
        "file": _TEXT,
        "external": _either(_FLAG, _record({"name": _TEXT}, open_to_more=True)),
        "labels": _PAIRS,
        "driver": _TEXT,
        "driver_opts": _map_of(_scalar("string", "number")),
        "template_driver": _TEXT,
    }
)
